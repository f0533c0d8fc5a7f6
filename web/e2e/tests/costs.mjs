import assert from 'node:assert/strict';
import { seedAgents } from '../agents-seed.mjs';

export default {
  seed: seedAgents,
  tests: [
    {
      name: 'costs by period and group, with budgets and prices',
      async run({ open, look, server }) {
        for (const theme of ['light', 'dark']) {
          const page = await open('/costs', { theme });
          await page.getByText('$0.90').first().waitFor();
          await page.getByRole('row', { name: /writer/ }).first().waitFor();
          await look(page, 'costs');
          await page.goto('/costs?tab=budgets');
          await page.getByRole('meter', { name: 'writer-daily' }).waitFor();
          await look(page, 'budgets');
          await page.goto('/costs?tab=prices&model=haiku-4-5');
          await page.getByRole('row', { name: /claude-haiku-4-5/ }).first().waitFor();
          await look(page, 'prices');
        }
        const narrow = await open('/costs', { width: 390 });
        await narrow.getByText('$0.90').first().waitFor();
        await look(narrow, 'costs-390');
        const page = await open('/costs');
        await page.getByText('$0.90').first().waitFor();
        await page.keyboard.press('3');
        await page.waitForURL(/period=30d/);
        await page.goto('/costs?by=model&show=tokens');
        await page.getByRole('row', { name: /polyglot-1/ }).getByText('No price').waitFor();
        const csv = await page.request.get(await page.getByRole('link', { name: 'CSV' }).getAttribute('href'));
        assert.match(await csv.text(), /^model,calls,/);

        await page.goto('/costs?tab=prices');
        await page.getByRole('button', { name: 'Add a price' }).click();
        const price = page.getByRole('dialog', { name: 'Price of a model' });
        await price.getByRole('textbox', { name: 'Provider' }).fill('acme');
        await price.getByRole('textbox', { name: 'Model' }).fill('polyglot-1');
        await price.getByRole('textbox', { name: 'Input' }).fill('2.50');
        await price.getByRole('textbox', { name: 'Output' }).fill('10');
        await price.getByRole('button', { name: 'Save' }).click();
        await page.getByRole('row', { name: /polyglot-1.*Your own/ }).waitFor();

        await page.goto('/costs?tab=budgets');
        await page.getByRole('button', { name: 'Set a budget' }).click();
        const budget = page.getByRole('dialog', { name: 'Set a budget' });
        await budget.getByRole('textbox', { name: 'Limit' }).fill('9,007,199.254740993');
        await budget.getByRole('textbox', { name: 'Name of the budget' }).fill('huge');
        await budget.getByRole('button', { name: 'Save' }).click();
        await page.getByRole('meter', { name: 'huge' }).waitFor();
        const raw = await (await fetch(`${server.url}/api/v1/budgets`)).text();
        assert.match(raw, /"hard":9007199254740993\b/, 'not a nano-dollar is lost on the way');
      },
    },
  ],
};
