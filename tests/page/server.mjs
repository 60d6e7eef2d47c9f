// Starts `gemmacore serve` with the embedded model, as a user would, and knows where the demo's pictures are.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import path from 'node:path';

export const root = fileURLToPath(new URL('../..', import.meta.url));
const program = process.env.GEMMACORE ?? path.join(root, 'src/GemmaCore.Cli/bin/Release/net10.0/gemmacore.dll');

export function picture(modality, name) {
  return path.join(root, 'demo/data/validation-public', modality, name.replace(/_\d+\..*$/, ''), 'imagesVal', name);
}

export async function serve(...flags) {
  const adapter = `few=${path.join(root, 'tests/goldens/adapters/qv_list_r4')}`;
  const server = spawn('dotnet', [program, 'serve', 'demo', '--port', '0', '--adapter', adapter, '--device', 'cpu', ...flags], { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  const url = await new Promise((resolve, reject) => {
    server.stderr.on('data', text => {
      log += text;
      const found = /at (http:\/\/127\.0\.0\.1:\d+)\/v1/.exec(log);
      if (found) resolve(found[1]);
    });
    server.once('exit', code => reject(new Error(`gemmacore serve ended with ${code}: ${log}`)));
  });
  return {
    url,
    log: () => log,
    async stop() {
      const ended = once(server, 'exit');
      server.kill('SIGTERM');
      await ended;
    },
  };
}
