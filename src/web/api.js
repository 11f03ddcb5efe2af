// SPDX-License-Identifier: LGPL-2.1-or-later
// What the server is asked: each request that the page makes, and how it fails. What an answer means is not known here.
// Addresses are relative, so that the page works under whatever path a proxy gives it.

import { serverTold } from "./clock.js";

/** A request that was refused, or (status 0) did not arrive. */
export class Refusal extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/**
 * @typedef {{name: string, scopes: string[], user: string | null, expiresAt: string | null}} Session
 * @typedef {{id: string, status: string, outcome: string | null, startedAt: string | null, durationMs: number | null}} Mark
 * @typedef {{category: string, title: string, advice: string, since: string | null, message: string | null, runId: string | null}} Attention
 * @typedef {{id: string, name: string, description: string | null, provider: string, source: string, userId: string | null,
 *   connection: string | null, destinationType: string, status: string, active: boolean, runnable: boolean, activeRunId: string | null,
 *   nextRunAt: string | null, lastRun: {id: string, status: string, outcome: string, finishedAt: string} | null,
 *   attention: Attention | null, outcomes?: Mark[]}} Connector
 * @typedef {{account: string, status: string | null, added: number, updated: number, deduped: number,
 *   durationMs: number | null, errorMessage: string | null}} AccountRow
 * @typedef {{id: string, status: string, outcome: string | null, trigger: string, requestedBy: string | null, reason: string | null,
 *   fullResync: boolean, createdAt: string, startedAt: string | null, finishedAt: string | null, durationMs: number | null, added: number, updated: number,
 *   deduped: number, message: string | null, errorMessage: string | null, accounts: AccountRow[], accountsOmitted: number}} Entry
 * @typedef {{id: string, kind: "records" | "lifecycle", runId: string | null, type: string, url: string, attemptedAt: string,
 *   succeeded: boolean, statusCode: number | null, responseTimeMs: number, retryCount: number, records: number | null,
 *   error: string | null, response: string | null}} Delivery
 * @typedef {{name: string, status: string, advice: string | null, since: string | null, message: string | null,
 *   connectors: string[], consentExpiresAt: string | null, reconnecting: boolean, accounts: string[],
 *   reconnectResult: string | null, reconnectMessage: string | null, reconnectFinishedAt: string | null}} Connection
 * @typedef {{event_id: string, run_id: string, user_id: string | null, provider: string, source: string, stage: string,
 *   status: string, message: string | null, progress: number | null, items_processed: number | null,
 *   items_total: number | null, error: string | null, metadata: Record<string, any>, timestamp: string}} SyncEvent
 */

const ANSWER_MAX_MS = 60000; // longer than the server itself waits for anybody

/** Who is told that the session is over. @type {() => void} */
let onSignedOut = () => {};

/** @param {() => void} callback */
export function whenSignedOut(callback) {
  onSignedOut = callback;
}

/** The server's words about a refusal; in their absence, ours. @param {Response} response */
async function wordsOf(response) {
  try {
    const body = await response.json();
    const words = body.error ?? body.detail;
    if (typeof words === "string") return words;
  } catch {
    // Not one of ours: a proxy's.
  }
  return `The server answered ${response.status} ${response.statusText}`.trim();
}

/**
 * @param {string} method
 * @param {string} path
 * @param {{body?: any}} [options]
 * @returns {Promise<any>} the answer's JSON; null where it has none
 */
async function ask(method, path, { body } = {}) {
  /** @type {Record<string, string>} */
  const headers = {};
  if (method !== "GET") headers["X-Syncrun-Page"] = "1"; // what no other site can make a browser send
  if (body !== undefined) headers["Content-Type"] = "application/json";
  /** @param {unknown} error */
  const unanswered = (error) => new Refusal(0, error instanceof DOMException && error.name === "TimeoutError" ? "The server does not answer" : "The server cannot be reached");
  let response;
  try {
    response = await fetch(path, {
      method, headers, signal: AbortSignal.timeout(ANSWER_MAX_MS), credentials: "same-origin", redirect: "error",
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    throw unanswered(error);
  }
  serverTold(Date.parse(response.headers.get("Date") ?? ""));
  if (!response.ok) {
    const refusal = new Refusal(response.status, await wordsOf(response));
    if (response.status === 401 && path !== "v1/session") onSignedOut();
    throw refusal;
  }
  if (response.status === 204 || response.headers.get("Content-Length") === "0") return null;
  return response.json().catch((error) => {
    throw unanswered(error);
  });
}

const at = encodeURIComponent;

export const session = {
  /** @returns {Promise<Session>} */
  get: () => ask("GET", "v1/session"),
  /** @param {string} key @returns {Promise<Session>} */
  begin: (key) => ask("POST", "v1/session", { body: { key } }),
  end: () => ask("DELETE", "v1/session"),
};

/**
 * One page of connectors.
 * @param {{cursor?: string | null, outcomes?: number, limit?: number}} options
 * @returns {Promise<{connectors: Connector[], nextCursor: string | null}>}
 */
export function listConnectors({ cursor, outcomes = 0, limit = 200 }) {
  const query = new URLSearchParams({ limit: String(limit) });
  if (outcomes) query.set("outcomes", String(outcomes));
  if (cursor) query.set("cursor", cursor);
  return ask("GET", `v1/connectors?${query}`);
}

/** @param {string} name */
export const getConnector = async (name) => (await ask("GET", `v1/connectors/${at(name)}?outcomes=30`)).connector;

/** @param {string} name @returns {Promise<Entry[]>} */
export const listActivity = async (name) => (await ask("GET", `v1/connectors/${at(name)}/activity`)).activity;

/** @param {string} name @returns {Promise<Delivery[]>} */
export const listDeliveries = async (name) => (await ask("GET", `v1/connectors/${at(name)}/deliveries`)).deliveries;

/** @param {string} name @param {string} id */
export const resendDelivery = (name, id) => ask("POST", `v1/connectors/${at(name)}/deliveries/${at(id)}/resend`);

/** @param {string} name */
export const syncNow = (name) => ask("POST", `v1/connectors/${at(name)}/sync-now`);

/** @param {string} connectorId */
export const fullResync = (connectorId) => ask("POST", "v1/sync-runs", { body: { connectorId, fullResync: true } });

/** @param {string} id */
export const getRun = async (id) => (await ask("GET", `v1/sync-runs/${at(id)}`)).syncRun;

/**
 * How the runs stand that are under way, each as its newest event told it.
 * @param {string | null} user whose they are; null: anybody's
 * @returns {Promise<(Omit<SyncEvent, "event_id" | "metadata" | "timestamp"> & {last_update: string, started_at: string | null})[]>}
 */
export const listRunning = (user) => ask("GET", `api/v1/${user ? `users/${at(user)}/` : ""}sync/runs?status=in_progress&limit=200`);

/** @param {string} id */
export const getLog = (id) => ask("GET", `v1/sync-runs/${at(id)}/log`);

/** @param {string} id */
export const cancelRun = (id) => ask("POST", `v1/sync-runs/${at(id)}/cancel`);

/** All of them. @returns {Promise<Connection[]>} */
export async function listConnections() {
  const connections = [];
  let cursor = null;
  do {
    const page = await ask("GET", `v1/connections${cursor ? `?${new URLSearchParams({ cursor })}` : ""}`);
    connections.push(...page.connections);
    cursor = page.nextCursor;
  } while (cursor);
  return connections;
}

/** @param {string} name @returns {Promise<Connection>} */
export const getConnection = async (name) => (await ask("GET", `v1/connections/${at(name)}`)).connection;

/** @param {string} name @returns {Promise<{syncRuns: {connectorName: string}[], reconnecting: boolean}>} */
export const reconnect = (name) => ask("POST", `v1/connections/${at(name)}/reconnect`);
