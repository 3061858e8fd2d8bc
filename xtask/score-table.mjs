// Runs the score table of `domain`, compiled to WebAssembly, row by row.
// Usage: node xtask/score-table.mjs FILE.wasm
import { readFile } from 'node:fs/promises';

const [file] = process.argv.slice(2);
const { instance } = await WebAssembly.instantiate(await readFile(file), {});
const { memory, rows, run, message, message_length: messageLength } = instance.exports;

let passed = 0;
let failed = 0;
for (let row = 0; row < rows(); row += 1) {
  const held = run(row) === 1;
  const text = new TextDecoder().decode(new Uint8Array(memory.buffer, message(), messageLength()));
  console.log(`${held ? 'ok  ' : 'FAIL'} ${text}`);
  if (held) passed += 1;
  else failed += 1;
}
// An empty table would prove nothing.
if (passed + failed === 0) failed = 1;
console.log(`test result: ${failed ? 'FAILED' : 'ok'}. ${passed} passed; ${failed} failed;`);
process.exitCode = failed ? 1 : 0;
