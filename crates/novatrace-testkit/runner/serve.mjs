#!/usr/bin/env node
// Serves Perfetto's trace processor over stdin and stdout, one trace after the other, for the Rust
// side of the testkit (src/server.rs).
//
//   node serve.mjs WEB_DIST
//
// First line out: {"ready": version}. Then one JSON line in, one JSON line out:
//
//   {"path": "/a/trace"}            load a file                          -> {"ok": true}
//   {"bytes": 123} + 123 raw bytes  load what follows the line           -> {"ok": true}
//   {"sql": "select ..."}           query the trace loaded last          -> {"columns": [...], "rows": [[...]]}
//
// or {"error": "...", "stderr": "...", "crashed": false}; after a crash the server is of no more use. Each load forgets the trace before. Cells: null; an integer,
// all 64 bits of it in digits; a string; {"f": "0.1"} for a float, also NaN and Infinity; {"b": base64}
// for a blob. Floats are strings so that no JSON parser on the way can round them.
//
// Ends when stdin does. Everything but the start is synchronous, because there is one client.
import fs from 'node:fs';
import { Engine } from './engine.mjs';

const [dist] = process.argv.slice(2);
if (!dist) { fs.writeSync(2, 'usage: serve.mjs WEB_DIST\n'); process.exit(2); }

let input = Buffer.alloc(0);
const piece = Buffer.alloc(1 << 20);
function more() {
  const length = fs.readSync(0, piece);
  input = Buffer.concat([input, piece.subarray(0, length)]);
  return length > 0;
}
function readLine() {
  for (let from = 0; ;) {
    const end = input.indexOf(10, from);
    if (end >= 0) {
      const line = input.toString('utf8', 0, end);
      input = input.subarray(end + 1);
      return line;
    }
    from = input.length;
    if (!more()) return undefined;
  }
}
function readBytes(length) {
  const bytes = Buffer.alloc(length);
  let at = input.copy(bytes, 0, 0, length);
  input = input.subarray(at);
  while (at < length) {
    const got = fs.readSync(0, bytes, at, length - at);
    if (got === 0) throw new Error(`input ended ${length - at} bytes early`);
    at += got;
  }
  return bytes;
}
function write(line) {
  const bytes = Buffer.from(line + '\n');
  for (let at = 0; at < bytes.length;) at += fs.writeSync(1, bytes, at);
}

const double = (value) => Object.is(value, -0) ? '-0' : String(value);
const cell = (value) =>
  typeof value === 'number' || typeof value === 'bigint' ? String(value)
    : value !== null && typeof value === 'object' && 'f' in value ? `{"f":"${double(value.f)}"}`
      : JSON.stringify(value);
function table({ columns, cells }) {
  const rows = [];
  for (let at = 0; at < cells.length; at += columns.length)
    rows.push(`[${cells.slice(at, at + columns.length).map(cell).join(',')}]`);
  return `{"columns":${JSON.stringify(columns)},"rows":[${rows.join(',')}]}`;
}

const engine = await Engine.start(dist);
write(JSON.stringify({ ready: engine.version() }));
// A trace that was rejected leaves the engine empty-handed; its tables must not answer for another.
for (let line, fresh = true, loaded = false; (line = readLine()) !== undefined;) {
  try {
    const request = JSON.parse(line);
    if ('sql' in request) {
      if (!loaded) throw new Error('no trace is loaded');
      write(table(engine.query(request.sql)));
    } else {
      const bytes = 'path' in request ? fs.readFileSync(request.path) : readBytes(request.bytes);
      if (!fresh) engine.reset();
      fresh = loaded = false;
      engine.load(bytes);
      loaded = true;
      write('{"ok":true}');
    }
  } catch (error) {
    write(JSON.stringify({ error: error.message ?? String(error), stderr: engine.stderr.join('\n'), crashed: engine.crashed }));
  }
}
