// SPDX-License-Identifier: LGPL-2.1-or-later
// Says what is wrong with the OpenAPI document on its input, as JSON. It has to lie beside node_modules.
import {Validator} from '@seriousme/openapi-schema-validator';
import {readFileSync} from 'node:fs';

const validator = new Validator();
const {valid, errors} = await validator.validate(JSON.parse(readFileSync(0, 'utf8')));
console.log(JSON.stringify({version: validator.version, valid, errors}));
