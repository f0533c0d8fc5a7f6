import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Plugin } from 'vite';

interface Package {
  name: string;
  version: string;
  licence: string;
  text: string;
}

/** Packages whose files reach dist by way of a style sheet, which no chunk names. */
const styled = ['@fontsource-variable/inter', '@fontsource-variable/jetbrains-mono'];

const allowed = /^\(?(MIT|Apache-2\.0|BSD-[23]-Clause|ISC|OFL-1\.1|MPL-2\.0|0BSD|CC0-1\.0)( OR .*)?\)?$/;

/** Writes the licences of all packages that end in the bundle to a file of dist. A licence that may not be shipped ends the build. */
export function thirdPartyLicences(fileName: string): Plugin {
  return {
    name: 'third-party-licences',
    apply: 'build',
    generateBundle(_, bundle) {
      const roots = new Set(styled.map((name) => join('node_modules', name)));
      for (const chunk of Object.values(bundle)) {
        if (chunk.type !== 'chunk') continue;
        for (const id of chunk.moduleIds) {
          const root = /^(?:\0)?(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(id)?.[1];
          if (root && existsSync(join(root, 'package.json'))) roots.add(root);
        }
      }
      const packages = new Map<string, Package>();
      for (const root of roots) {
        const found = describe(root);
        packages.set(`${found.name} ${found.version}`, found);
      }
      const refused = [...packages.values()].filter((p) => !allowed.test(p.licence));
      if (refused.length > 0) this.error(`licences that may not be shipped: ${refused.map((p) => `${p.name} (${p.licence})`).join(', ')}`);
      const sorted = [...packages.values()].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
      const line = '-'.repeat(80);
      const source =
        "The console contains the following packages, each under its own licence.\n" +
        sorted.map((p) => `\n${line}\n${p.name} ${p.version} (${p.licence})\n${line}\n\n${p.text.trim()}\n`).join('');
      this.emitFile({ type: 'asset', fileName, source });
    },
  };
}

function describe(root: string): Package {
  const about = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    name: string;
    version: string;
    license?: string;
    author?: string | { name?: string };
  };
  const file = readdirSync(root).find((name) => /^(licen[cs]e|copying)/i.test(name));
  const author = typeof about.author === 'string' ? about.author : about.author?.name;
  const text = file ? readFileSync(join(root, file), 'utf8') : `Copyright: ${author ?? `the authors of ${about.name}`}. Licence: ${about.license ?? 'unknown'}.`;
  return { name: about.name, version: about.version, licence: about.license ?? 'unknown', text: text.replaceAll('\r\n', '\n') };
}

