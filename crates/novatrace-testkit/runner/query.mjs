#!/usr/bin/env node
// Queries a trace by hand:
//
//   node query.mjs WEB_DIST TRACE SQL [SQL ...]
//
// Prints one JSON array of row objects per statement, a line each. Exit status: 0; 1 when the trace
// is rejected or a statement fails; 2 for wrong arguments.
import fs from 'node:fs';
import { Engine } from './engine.mjs';

const [dist, trace, ...statements] = process.argv.slice(2);
if (!dist || !trace || statements.length === 0) {
  console.error('usage: query.mjs WEB_DIST TRACE SQL [SQL ...]');
  process.exit(2);
}
const engine = await Engine.start(dist);
try {
  engine.load(fs.readFileSync(trace));
} catch (error) {
  console.error(`${trace}: ${error.message}`);
  process.exit(1);
}
// Integers that JavaScript cannot hold are printed as strings.
const show = (value) => typeof value === 'bigint' && !Number.isSafeInteger(Number(value)) ? String(value)
  : typeof value === 'bigint' ? Number(value) : value?.f ?? value?.b ?? value;
for (const sql of statements) {
  try {
    const { columns, cells } = engine.query(sql);
    const rows = [];
    for (let at = 0; at < cells.length; at += columns.length)
      rows.push(Object.fromEntries(columns.map((name, i) => [name, show(cells[at + i])])));
    console.log(JSON.stringify(rows));
  } catch (error) {
    console.error(`${sql}: ${error.message}`);
    process.exitCode = 1;
  }
}
