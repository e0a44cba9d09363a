// Reads the cases on standard input with the tools of package.json, and prints what each of them found, as JSON.
import { Parser } from '@asyncapi/parser';
import { ROOT_CONTEXT, defaultTextMapGetter, defaultTextMapSetter, trace, createTraceState } from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import addFormats from 'ajv-formats';
import Ajv from 'ajv/dist/2020.js';
import { CloudEvent, Kafka } from 'cloudevents';
import { readFileSync } from 'node:fs';
import { Webhook } from 'standardwebhooks';

const cases = JSON.parse(readFileSync(0, 'utf8'));

async function readTopics(text) {
  const { document, diagnostics } = await new Parser().parse(text);
  const found = diagnostics.map(({ code, severity, path, message }) => ({
    rule: code, severity: ['error', 'warning', 'information', 'hint'][severity], place: path.join('.'), message }));
  const messages = document ? document.messages().all().map((one) => one.id()) : [];
  return { found, messages };
}

async function lintHttp(text) {
  const config = await createConfig({ extends: ['recommended'] });
  const problems = await lintFromString({ source: text, absoluteRef: 'openapi.json', config });
  return problems.map(({ ruleId, severity, message, location }) => ({
    rule: ruleId, severity: severity === 'error' ? 'error' : 'warning', place: location[0]?.pointer ?? '', message }));
}

function validate(schemas, values) {
  const found = [];
  const validators = new Map();
  for (const [name, schema] of Object.entries(schemas)) {
    const ajv = new Ajv({ strict: true, allErrors: true, logger: false });
    addFormats(ajv);
    try {
      validators.set(name, ajv.compile(schema));
    } catch (error) {
      found.push({ rule: 'schema', severity: 'error', place: name, message: error.message });
    }
  }
  for (const { name, schema, value } of values) {
    const isValid = validators.get(schema);
    if (isValid && !isValid(value)) {
      for (const { keyword, instancePath, message } of isValid.errors) {
        found.push({ rule: keyword, severity: 'error', place: `${name}${instancePath}`, message });
      }
    }
  }
  return found;
}

// The SDK takes headers as texts, and gives the data of binary mode as it is: clients of Kafka handle bytes.
function readRecord({ headers, value }) {
  const event = Kafka.toEvent({ headers, value });
  const { data, ...attributes } = event.toJSON();
  return { attributes, data: typeof data === 'string' ? JSON.parse(data) : data };
}

function writeCommand({ attributes, data }) {
  const event = new CloudEvent({ ...attributes, data });
  return ['binary', 'structured'].map((mode) => {
    const { headers, value } = Kafka[mode](event);
    const given = Object.entries(headers).filter(([, one]) => one !== undefined).map(([name, one]) => [name, `${one}`]);
    return { mode, headers: given, value: typeof value === 'string' ? value : JSON.stringify(value) };
  });
}

function verify({ secret, headers, body }) {
  new Webhook(secret).verify(body, headers);
  return { verified: true };
}

const propagator = new W3CTraceContextPropagator();

function extract({ headers }) {
  const context = propagator.extract(ROOT_CONTEXT, headers, defaultTextMapGetter);
  const { traceId, spanId, traceFlags, traceState } = trace.getSpanContext(context) ?? {};
  return { traceId, spanId, traceFlags, traceState: traceState?.serialize() };
}

function inject({ traceId, spanId, traceFlags, traceState }) {
  const context = { traceId, spanId, traceFlags, traceState: traceState ? createTraceState(traceState) : undefined };
  const headers = {};
  propagator.inject(trace.setSpanContext(ROOT_CONTEXT, context), headers, defaultTextMapSetter);
  return { headers };
}

function each(listed, read) {
  return Object.fromEntries(listed.map((one) => {
    try {
      return [one.name, read(one)];
    } catch (error) {
      return [one.name, { refused: `${error.name}: ${error.message}` }];
    }
  }));
}

const topics = {};
for (const [name, text] of Object.entries(cases.asyncapi)) topics[name] = await readTopics(text);
const requests = {};
for (const [name, text] of Object.entries(cases.openapi)) requests[name] = await lintHttp(text);
const report = {
  asyncapi: topics,
  openapi: requests,
  schemas: validate(cases.schemas, cases.values),
  records: each(cases.records, readRecord),
  commands: each(cases.commands, writeCommand),
  webhooks: each(cases.webhooks, verify),
  extracted: each(cases.carriers, extract),
  injected: each(cases.spans, inject),
};
process.stdout.write(JSON.stringify(report));
