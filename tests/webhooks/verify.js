// SPDX-License-Identifier: LGPL-2.1-or-later
// Reads lines of JSON, {secret, headers, body}, and answers each with what two independent verifiers say of it: the event's type, or
// the name of the error.

const { createInterface } = require("readline");
const standardwebhooks = require("standardwebhooks");
const svix = require("svix");

const only = (headers, prefix) => Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith(prefix)));

const verify = (library, { secret, headers, body }, prefix) => {
  try {
    new library.Webhook(secret).verify(body, only(headers, prefix));
    return JSON.parse(body).type;
  } catch (error) {
    return error.constructor.name;
  }
};

createInterface({ input: process.stdin }).on("line", (line) => {
  const request = JSON.parse(line);
  console.log(JSON.stringify({
    standardwebhooks: verify(standardwebhooks, request, "webhook-"),
    svix: verify(svix, request, "svix-"),
    "svix, unbranded": verify(svix, request, "webhook-"),
  }));
});
