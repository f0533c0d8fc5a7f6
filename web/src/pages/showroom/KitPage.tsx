import { Button, Tabs } from '@mantine/core';
import { IconRobot } from '@tabler/icons-react';
import { useState, type ReactNode } from 'react';
import { ApiError } from '../../api/http.ts';
import { Page } from '../../app/Page.tsx';
import * as k from '../../kit/index.ts';
import css from './KitPage.module.css';

const now = Date.UTC(2026, 2, 14, 9, 30);
const minute = 60_000;

interface Row { id: string; name: string; status: string; cost: number }
const rows: Row[] = ['RUNNING', 'SUCCEEDED', 'FAILED', 'TIMED_OUT', 'ABORTED', 'PENDING_REDRIVE'].map((status, i) => ({ id: `r${i}`, name: `moderate-comment-${i + 1}`, status, cost: [12e6, 1_840_000_000, 340_000, 0, 88_000_000, 4_000][i]! }));
const order = { id: 'o-1', total: 42.5, paid: true, note: null, lines: [{ sku: 'A-1', count: 2 }, { sku: 'B-7', count: 1 }], address: { city: 'Brno', 'post code': '602 00' } };
const before = JSON.stringify(order, null, 2);
const after = JSON.stringify({ ...order, paid: false, total: 40, discount: 2.5 }, null, 2);

/** All parts of the kit, for those who build pages and for tests of both themes. */
export function KitPage() {
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set(['r1']));
  const [sort, setSort] = useState<k.Sort>({ by: 'cost', descending: true });
  const [filter, setFilter] = useState('status:failed machine:moderate');
  const [comment, setComment] = useState('');
  const [json, setJson] = useState(before);
  const [inspect, setInspect] = useState(false);
  return (
    <Page title="Kit" crumbs={[{ label: 'Lockstep' }]} beside={<k.StatusBadge status="RUNNING" />} actions={<Button onClick={() => setInspect(!inspect)}>Open inspector</Button>}>
      <div className={css.all}>
        <Part name="StatusBadge">
          <div className={css.wrap}>{['RUNNING', 'SUCCEEDED', 'FAILED', 'TIMED_OUT', 'ABORTED', 'PENDING_REDRIVE', 'caught', 'waiting', 'waiting_for_person', 'not_started', 'blocked', 'review', 'stalled', 'offline'].map((s) => <k.StatusBadge key={s} status={s} />)}</div>
          <div className={css.wrap}>{['RUNNING', 'SUCCEEDED', 'FAILED', 'caught', 'waiting_for_person', 'idle'].map((s) => <k.StatusBadge key={s} status={s} solid />)}</div>
        </Part>
        <Part name="IdChip, TimeAgo, Duration, Money, BudgetBar, Sparkline, AgentAvatar, Kbd">
          <div className={css.wrap}>
            <k.IdChip id="arn:aws:states:us-east-1:123456789012:execution:moderate:run-1" most={30} />
            <k.TimeAgo at={new Date(now)} />
            <k.Duration from={new Date(now)} to={new Date(now + 125_000)} />
            <k.Money nano={1_840_000_000} />
            <k.Money nano={3_400_000} />
            <k.Money nano={120_000_000} included />
            <k.Sparkline values={[1, 4, 2, 8, 6, 9, 12, 7]} label="Executions a day, up to 12" />
            <k.AgentAvatar name="writer" status="working" />
            <k.AgentAvatar name="code-reviewer" status="blocked" size={32} />
            <k.AgentAvatar name="Ada Lovelace" person />
            <k.Kbd keys="g m" />
          </div>
          <div className={css.bars}>
            <k.BudgetBar used={2e9} limit={1e10} label="Budget of writer" />
            <k.BudgetBar used={9e9} limit={1e10} label="Budget of editor" />
            <k.BudgetBar used={11e9} limit={1e10} label="Budget of tester" />
          </div>
        </Part>
        <Part name="FilterBar, DataTable">
          <k.FilterBar value={filter} onChange={setFilter} fields={[{ name: 'status', label: 'Status', values: ['running', 'failed', 'succeeded'] }, { name: 'machine', label: 'State machine' }, { name: 'input.', label: 'Input' }]} />
          <k.DataTable<Row>
            name="kit"
            label="Executions"
            rows={[...rows].sort((a, b) => (sort.descending ? b.cost - a.cost : a.cost - b.cost))}
            rowId={(r) => r.id}
            rowLabel={(r) => r.name}
            selected={selected}
            onSelect={setSelected}
            bulk={<Button variant="default">Stop</Button>}
            sort={sort}
            onSort={setSort}
            onOpen={() => setInspect(true)}
            columns={[
              { id: 'name', label: 'Name', cell: (r) => r.name, always: true },
              { id: 'status', label: 'Status', cell: (r) => <k.StatusBadge status={r.status} size="sm" /> },
              { id: 'cost', label: 'Cost', cell: (r) => <k.Money nano={r.cost} />, align: 'right', sortable: true },
            ]}
          />
        </Part>
        <Part name="JsonView"><k.JsonView value={order} label="Input" /></Part>
        <Part name="JsonEditor"><k.JsonEditor value={json} onChange={setJson} label="Input as JSON" height="180px" /></Part>
        <Part name="DiffView"><k.DiffView before={before} after={after} label="Output against input" beforeLabel="Input" afterLabel="Output" /></Part>
        <Part name="Gantt">
          <k.Gantt
            label="Timeline"
            now={now + 200 * minute}
            height="190px"
            rows={[
              { id: 'a', label: 'Fetch', bars: [{ id: 'a1', from: now, to: now + minute, status: 'failed', title: 'Fetch, attempt 1: failed' }, { id: 'a2', from: now + 2 * minute, to: now + 4 * minute, status: 'succeeded', title: 'Fetch, attempt 2: succeeded' }] },
              { id: 'b', label: 'Ask for a review', bars: [{ id: 'b1', from: now + 4 * minute, to: now + 190 * minute, status: 'waiting_for_person', title: 'Ask for a review: waiting', waits: true }] },
              { id: 'c', label: 'For each comment', depth: 0, bars: [{ id: 'c1', from: now + 190 * minute, to: now + 198 * minute, status: 'caught', title: 'For each comment: error caught' }] },
              { id: 'd', label: 'Publish', depth: 1, bars: [{ id: 'd1', from: now + 192 * minute, status: 'running', title: 'Publish: running' }] },
            ]}
          />
        </Part>
        <Part name="Swimlane">
          <k.Swimlane
            label="Agents today"
            from={now}
            to={now + 8 * 60 * minute}
            lanes={[
              { id: 'w', label: <><k.AgentAvatar name="writer" size={20} /> writer</>, summary: 'Worked for 3 h, blocked for 1 h', segments: [{ from: now, to: now + 180 * minute, status: 'working' }, { from: now + 180 * minute, to: now + 240 * minute, status: 'blocked' }, { from: now + 240 * minute, to: now + 400 * minute, status: 'idle' }] },
              { id: 'e', label: <><k.AgentAvatar name="editor" size={20} /> editor</>, summary: 'Worked for 2 h, failing', segments: [{ from: now + 60 * minute, to: now + 180 * minute, status: 'working' }, { from: now + 200 * minute, to: now + 260 * minute, status: 'failing' }] },
            ]}
          />
        </Part>
        <Part name="CellGrid"><k.CellGrid label="Items" statuses={Array.from({ length: 400 }, (_, i) => (i % 37 === 5 ? 'failed' : i < 300 ? 'succeeded' : i < 330 ? 'running' : 'pending'))} /></Part>
        <Part name="StackedBars">
          <k.StackedBars
            label="Starts by hour"
            bars={Array.from({ length: 24 }, (_, i) => ({ label: `${String(i).padStart(2, '0')}:00`, values: { ok: (i * 7) % 13, failed: i % 5 === 0 ? 3 : 0 } }))}
            series={[{ key: 'ok', label: 'Succeeded', colour: 'var(--ls-succeeded)' }, { key: 'failed', label: 'Failed', colour: 'var(--ls-failed)', hatched: true }]}
            onBrush={() => {}}
            line={{ at: 11, label: 'budget' }}
          />
        </Part>
        <Part name="Markdown, MentionInput">
          <k.Markdown text={'The **draft** is at [example](https://example.com).\n\n- `one`\n- two\n\n<script>alert(1)</script><img src=x onerror=alert(1)>'} />
          <k.MentionInput value={comment} onChange={setComment} label="Comment" who={[{ slug: 'writer', name: 'Writer', status: 'working' }, { slug: 'ada', name: 'Ada Lovelace', person: true }]} />
        </Part>
        <Part name="Panel, Facts, CopyBlock">
          <k.Panel title="Connection" text="How the agent is reached." actions={<Button variant="default">Change</Button>}>
            <k.Facts of={[['Runtime', 'OpenClaw'], ['Slots', '2'], ['Last heard of', <k.TimeAgo key="t" at={new Date(now)} />]]} />
          </k.Panel>
          <k.CopyBlock name="env.sh" label="env.sh" text={'export LOCKSTEP_URL=http://127.0.0.1:8083\nexport LOCKSTEP_AGENT=writer'} />
        </Part>
        <Part name="EmptyState, NoMatch, ErrorState">
          <k.EmptyState icon={<IconRobot size={26} />} title="No agents yet" text="An agent is a worker outside the server that takes tasks from the board." command="lockstep agent new writer" />
          <k.ErrorState error={new ApiError(409, 'gate_closed', 'The task waits for WEB-7.')} retry={() => {}} />
        </Part>
      </div>
      {inspect && (
        <div className={css.inspector}>
          <k.Inspector title="Check the comment" label="Visit" onClose={() => setInspect(false)} head={<Tabs defaultValue="i"><Tabs.List><Tabs.Tab value="i">Input</Tabs.Tab><Tabs.Tab value="o">Output</Tabs.Tab></Tabs.List></Tabs>}>
            <k.JsonView value={order} label="Input of the visit" />
          </k.Inspector>
        </div>
      )}
    </Page>
  );
}

function Part({ name, children }: { name: string; children: ReactNode }) {
  return (
    <section className={css.part}>
      <h2 className={css.name}>{name}</h2>
      {children}
    </section>
  );
}
