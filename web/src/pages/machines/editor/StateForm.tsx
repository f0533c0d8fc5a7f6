import { Badge, Button, Menu, SegmentedControl, Select, TextInput, ActionIcon, Tabs } from '@mantine/core';
import { IconArrowDown, IconArrowUp, IconDots, IconPlus } from '@tabler/icons-react';
import { useEffect, useState } from 'react';
import { nodeAt, valueOf, type JsonPath } from '../../../asl/cst.ts';
import { languageOf, namesIn, variablesFor, type Place } from '../../../asl/machine.ts';
import * as op from '../../../asl/operations.ts';
import { Inspector } from '../../../kit/index.ts';
import { editor as t } from '../../../strings/machines.ts';
import { TypeIcon } from '../../../graph/TypeIcon.tsx';
import { ChoiceField, CountField, JsonField, NumberField, Part, TextField } from './fields.tsx';
import css from './Editor.module.css';
import { RetryLadder, type Retrier } from './RetryLadder.tsx';
import { TestPanel } from './TestPanel.tsx';
import type { Editor } from './useEditor.ts';

export interface StateFormProps {
  editor: Editor;
  place: Place;
  tab: string;
  onTab: (tab: string) => void;
  onSelect: (id: string | undefined) => void;
  /** Does what is shown in the menu and by keys: "wrap", "move". */
  act: (what: string) => void;
  attempt: (make: () => op.Change, said?: string) => void;
  resources: string[];
  /** Its name on the server; '' before it is published for the first time. */
  machine: string;
  /** The name that what is typed here is kept under. */
  draft: string;
}

const canFail = (type: string) => type === 'Task' || type === 'Map' || type === 'Parallel';

/** Everything about one state that can be said in fields. */
export function StateForm({ editor, place, tab, onTab, onSelect, act, attempt, resources, machine, draft }: StateFormProps) {
  const m = editor.machine;
  const language = languageOf(m.root, place.path);
  const tabs: [string, string][] = [
    ['config', t.tabs.config],
    ...(place.type === 'Fail' ? [] : ([['data', t.tabs.data]] as [string, string][])),
    ...(place.type === 'Succeed' || place.type === 'Fail' ? [] : ([['variables', t.tabs.variables]] as [string, string][])),
    ...(canFail(place.type) ? ([['errors', t.tabs.errors]] as [string, string][]) : []),
    ['test', t.tabs.test],
  ];
  const shown = tabs.some(([v]) => v === tab) ? tab : 'config';
  const items: [string, string][] = [
    ['insert', t.keysOf.insert], ['setStart', t.setStart], ...(op.canWrap(place.type) ? ([['wrap', t.wrapParallel], ['wrapMap', t.wrapMap]] as [string, string][]) : []),
    ['move', t.moveAction], ['copy', t.copyAction], ['cut', t.cutAction], ['duplicate', t.duplicateAction], ['remove', t.deleteAction],
  ];
  return (
    <Inspector
      label={t.form}
      title={<span className={css.formTitle}><TypeIcon type={place.type} /><span className="truncate">{place.name}</span></span>}
      onClose={() => onSelect(undefined)}
      head={
        <div className={css.formHead}>
          <Badge variant="default" size="sm" radius="sm" tt="none" fw={500}>{place.type}</Badge>
          <span className={css.grow} />
          <Menu position="bottom-end">
            <Menu.Target><ActionIcon aria-label={t.actions}><IconDots size={16} /></ActionIcon></Menu.Target>
            <Menu.Dropdown>{items.map(([what, label]) => <Menu.Item key={what} disabled={editor.broken !== undefined} onClick={() => act(what)} {...(what === 'remove' ? { color: 'var(--ls-failed)' } : {})}>{label}</Menu.Item>)}</Menu.Dropdown>
          </Menu>
        </div>
      }
    >
      <Tabs value={shown} onChange={(v) => v && onTab(v)} keepMounted={false} classNames={{ list: css.tabList!, tab: css.tab! }}>
        <Tabs.List aria-label={t.form}>{tabs.map(([v, label]) => <Tabs.Tab key={v} value={v}>{label}</Tabs.Tab>)}</Tabs.List>
        <Tabs.Panel value={shown} className={css.fields!} key={`${place.id}:${shown}`}>
          {shown === 'config' && <Configuration editor={editor} place={place} onSelect={onSelect} attempt={attempt} resources={resources} />}
          {shown === 'data' && <Data editor={editor} place={place} language={language} />}
          {shown === 'variables' && <Variables editor={editor} place={place} />}
          {shown === 'errors' && <Errors editor={editor} place={place} attempt={attempt} />}
          {shown === 'test' && <TestPanel editor={editor} place={place} machine={machine} draft={draft} />}
        </Tabs.Panel>
      </Tabs>
    </Inspector>
  );
}

/** The name of a state: it changes when it is left, with all that leads to it. */
function NameField({ place, editor, onSelect, attempt }: { place: Place; editor: Editor; onSelect: (id: string) => void; attempt: StateFormProps['attempt'] }) {
  const [name, setName] = useState(place.name);
  useEffect(() => setName(place.name), [place.name]);
  const commit = () => {
    if (name === place.name) return;
    attempt(() => {
      const change = op.rename(editor.machine, place.id, name);
      if (change.select) onSelect(change.select);
      return change;
    });
  };
  return (
    <TextInput
      label={t.stateName}
      value={name}
      maxLength={80}
      disabled={editor.broken !== undefined}
      onChange={(e) => setName(e.currentTarget.value)}
      onBlur={commit}
      onKeyDown={(e) => {
        if (e.key === 'Enter') commit();
        if (e.key === 'Escape') {
          e.stopPropagation();
          setName(place.name);
        }
      }}
    />
  );
}

const endValue = '\u0000end';

export function NextField({ editor, place, slot, label, none }: { editor: Editor; place: Place; slot: op.Slot; label: string; none: string | undefined }) {
  const names = namesIn(editor.machine.root, place.scope);
  const to = op.targetOf(editor.machine, slot);
  return (
    <Select
      label={label}
      searchable
      allowDeselect={false}
      disabled={editor.broken !== undefined}
      value={to ?? (none === undefined ? null : endValue)}
      data={[...names.map((n) => ({ value: n, label: n })), ...(none === undefined ? [] : [{ value: endValue, label: none }])]}
      onChange={(v) => v !== null && editor.apply(op.setNext(editor.machine, slot, v === endValue ? undefined : v))}
    />
  );
}

type Attempt = { attempt: StateFormProps['attempt'] };

function Configuration({ editor, place, onSelect, attempt, resources }: { editor: Editor; place: Place; onSelect: (id: string | undefined) => void; resources: string[] } & Attempt) {
  const m = editor.machine;
  const at = (...rest: (string | number)[]): JsonPath => [...place.path, ...rest];
  const language = languageOf(m.root, place.path);
  const whole = languageOf(m.root);
  const jsonata = language === 'JSONata';
  const slot = op.slotsAfter(m, place.id)[0];
  return (
    <>
      <NameField place={place} editor={editor} onSelect={onSelect} attempt={attempt} />
      {place.type === 'Task' && <TextField editor={editor} path={at('Resource')} label={t.resource} mono data={resources} />}
      {place.type === 'Pass' && !jsonata && <JsonField editor={editor} path={at('Result')} label="Result" hint={t.json} />}
      {place.type === 'Wait' && <WaitFields editor={editor} place={place} jsonata={jsonata} />}
      {place.type === 'Fail' && (
        <>
          {['Error', 'Cause'].map((f) => <TextField key={f} editor={editor} path={at(f)} label={f} />)}
          {!jsonata && ['ErrorPath', 'CausePath'].map((f) => <TextField key={f} editor={editor} path={at(f)} label={f} mono hint="$.error" />)}
        </>
      )}
      {place.type === 'Choice' && <Rules editor={editor} place={place} jsonata={jsonata} attempt={attempt} />}
      {place.type === 'Parallel' && <Branches editor={editor} place={place} onSelect={onSelect} attempt={attempt} />}
      {place.type === 'Map' && <MapFields editor={editor} place={place} jsonata={jsonata} onSelect={onSelect} />}
      {slot && (slot.kind === 'next' || slot.kind === 'end') && <NextField editor={editor} place={place} slot={slot} label={t.next} none={t.end} />}
      {place.type === 'Task' && (
        <div className={css.pair}>
          <NumberField editor={editor} path={at('TimeoutSeconds')} label="TimeoutSeconds" min={1} />
          <NumberField editor={editor} path={at('HeartbeatSeconds')} label="HeartbeatSeconds" min={1} />
        </div>
      )}
      {place.type === 'Task' && <JsonField editor={editor} path={at('Credentials')} label="Credentials" rows={1} hint='{"RoleArn": "arn:…"}' />}
      <TextField editor={editor} path={at('Comment')} label={t.comment} after="Type" />
      {whole === 'JSONPath' && <ChoiceField editor={editor} path={at('QueryLanguage')} label={t.language} data={['JSONPath', 'JSONata'].map((v) => ({ value: v, label: v }))} none={t.ofMachine(whole)} after="Type" />}
    </>
  );
}

function WaitFields({ editor, place, jsonata }: { editor: Editor; place: Place; jsonata: boolean }) {
  const kinds = jsonata ? ['Seconds', 'Timestamp'] : ['Seconds', 'Timestamp', 'SecondsPath', 'TimestampPath'];
  const kind = kinds.find((k) => nodeAt(editor.machine.root, [...place.path, k])) ?? 'Seconds';
  const path = [...place.path, kind];
  return (
    <div className={css.pair}>
      <Select
        label={t.waitFor}
        allowDeselect={false}
        value={kind}
        data={kinds.map((k) => ({ value: k, label: t.waitKinds[k]! }))}
        onChange={(v) => v && v !== kind && editor.apply(op.setFields(editor.machine, [[path, undefined], [[...place.path, v], v === 'Seconds' ? 60 : v === 'Timestamp' ? '2030-01-01T00:00:00Z' : v === 'SecondsPath' ? '$.seconds' : '$.time']]))}
      />
      {kind === 'Seconds' ? <NumberField editor={editor} path={path} label={kind} /> : <TextField editor={editor} path={path} label={kind} mono />}
    </div>
  );
}

function Rules({ editor, place, jsonata, attempt }: { editor: Editor; place: Place; jsonata: boolean } & Attempt) {
  const m = editor.machine;
  const list = [...place.path, 'Choices'];
  const rules = nodeAt(m.root, list)?.items ?? [];
  return (
    <div className={css.group} role="group" aria-label={t.rules}>
      <h3 className={css.groupTitle}>{t.rules}</h3>
      {rules.map((_, i) => (
        <Part
          key={i}
          title={t.rule(i + 1)}
          {...(rules.length > 1 ? { onRemove: () => editor.apply(op.setField(m, [...list, i], undefined)) } : {})}
          actions={
            <>
              <ActionIcon size={24} disabled={i === 0} aria-label={`${t.up}: ${t.rule(i + 1)}`} onClick={() => editor.apply(op.moveItem(m, list, i, i - 1))}><IconArrowUp size={14} /></ActionIcon>
              <ActionIcon size={24} disabled={i === rules.length - 1} aria-label={`${t.down}: ${t.rule(i + 1)}`} onClick={() => editor.apply(op.moveItem(m, list, i, i + 1))}><IconArrowDown size={14} /></ActionIcon>
            </>
          }
        >
          {jsonata ? <TextField editor={editor} path={[...list, i, 'Condition']} label={t.condition} mono hint="{% $states.input.ok %}" /> : <RuleField editor={editor} path={[...list, i]} />}
          <NextField editor={editor} place={place} slot={{ kind: 'choice', from: place.id, index: i }} label={t.next} none={undefined} />
        </Part>
      ))}
      <Button variant="default" leftSection={<IconPlus size={14} />} disabled={editor.broken !== undefined} onClick={() => attempt(() => op.addRule(m, place.id))}>{t.addRule}</Button>
      <NextField editor={editor} place={place} slot={{ kind: 'default', from: place.id }} label={t.default} none={t.noDefault} />
    </div>
  );
}

const comparisons = ['StringEquals', 'StringMatches', 'StringLessThan', 'StringGreaterThan', 'NumericEquals', 'NumericLessThan', 'NumericLessThanEquals', 'NumericGreaterThan', 'NumericGreaterThanEquals', 'BooleanEquals', 'TimestampEquals', 'TimestampLessThan', 'TimestampGreaterThan', 'IsPresent', 'IsNull', 'IsString', 'IsNumeric', 'IsBoolean', 'IsTimestamp'];

/** A rule of JSONPath with one comparison in three fields; with And, Or, Not as JSON. */
function RuleField({ editor, path }: { editor: Editor; path: JsonPath }) {
  const m = editor.machine;
  const rule = nodeAt(m.root, path);
  const key = rule?.members.find((x) => x.name !== 'Variable' && x.name !== 'Next' && x.name !== 'Comment' && x.name !== 'Assign')?.name;
  if (key === 'And' || key === 'Or' || key === 'Not' || key === undefined) return <JsonField editor={editor} path={key ? [...path, key] : path} label={key ?? t.condition} rows={3} />;
  return (
    <>
      <TextField editor={editor} path={[...path, 'Variable']} label="Variable" mono hint="$.x" />
      <div className={css.pair}>
        <Select
          label={t.condition}
          searchable
          allowDeselect={false}
          value={key}
          data={[...new Set([key, ...comparisons])]}
          onChange={(v) => {
            if (!v || v === key) return;
            const value = /^Is|Boolean/.test(v) ? true : /^Numeric/.test(v) ? 0 : /^Timestamp/.test(v) ? '2030-01-01T00:00:00Z' : '';
            editor.apply(op.setFields(m, [[[...path, key], undefined], [[...path, v], value]]));
          }}
        />
        <JsonField editor={editor} path={[...path, key]} label={key} rows={1} />
      </div>
    </>
  );
}

function Branches({ editor, place, onSelect, attempt }: { editor: Editor; place: Place; onSelect: (id: string | undefined) => void } & Attempt) {
  const m = editor.machine;
  const branches = nodeAt(m.root, [...place.path, 'Branches'])?.items ?? [];
  return (
    <div className={css.group} role="group" aria-label={t.branches}>
      <h3 className={css.groupTitle}>{t.branches}</h3>
      {branches.map((b, i) => {
        const names = namesIn(m.root, [...place.path, 'Branches', i]);
        const start = nodeAt(b, ['StartAt'])?.value;
        return (
          <Part key={i} title={t.branch(place.name, i + 1)} {...(branches.length > 1 ? { onRemove: () => editor.apply(op.setField(m, [...place.path, 'Branches', i], undefined)) } : {})}>
            <div className={css.lineOf}>
              <span className="dim">{t.statesIn(names.length)}</span>
              {typeof start === 'string' && <Button variant="subtle" onClick={() => onSelect(`${place.id}#${i}/${start}`)}>{t.goTo(start)}</Button>}
            </div>
          </Part>
        );
      })}
      <Button variant="default" leftSection={<IconPlus size={14} />} disabled={editor.broken !== undefined} onClick={() => attempt(() => op.addBranch(m, place.id))}>{t.addBranch}</Button>
    </div>
  );
}

function MapFields({ editor, place, jsonata, onSelect }: { editor: Editor; place: Place; jsonata: boolean; onSelect: (id: string | undefined) => void }) {
  const m = editor.machine;
  const at = (...rest: (string | number)[]): JsonPath => [...place.path, ...rest];
  const processor = nodeAt(m.root, at('ItemProcessor')) ? 'ItemProcessor' : 'Iterator';
  const mode = op.read(m, at(processor, 'ProcessorConfig', 'Mode')) === 'DISTRIBUTED' ? 'DISTRIBUTED' : 'INLINE';
  const start = op.read(m, at(processor, 'StartAt'));
  return (
    <>
      <div>
        <div className={css.label} id="map-mode">{t.mode}</div>
        <SegmentedControl
          fullWidth
          aria-labelledby="map-mode"
          value={mode}
          data={['INLINE', 'DISTRIBUTED'].map((v) => ({ value: v, label: t.modes[v]! }))}
          onChange={(v) => editor.apply(op.setFields(m, [[at(processor, 'ProcessorConfig', 'Mode'), v], [at(processor, 'ProcessorConfig', 'ExecutionType'), v === 'DISTRIBUTED' ? 'STANDARD' : undefined]]))}
        />
      </div>
      {mode === 'DISTRIBUTED' && <ChoiceField editor={editor} path={at(processor, 'ProcessorConfig', 'ExecutionType')} label="ExecutionType" data={['STANDARD', 'EXPRESS'].map((v) => ({ value: v, label: v }))} />}
      {jsonata ? <JsonField editor={editor} path={at('Items')} label="Items" rows={1} hint="{% $states.input.items %}" /> : <TextField editor={editor} path={at('ItemsPath')} label="ItemsPath" mono hint="$.items" />}
      <JsonField editor={editor} path={at('ItemSelector')} label="ItemSelector" hint={t.json} />
      <NumberField editor={editor} path={at('MaxConcurrency')} label="MaxConcurrency" />
      {mode === 'DISTRIBUTED' && (
        <>
          <JsonField editor={editor} path={at('ItemReader')} label="ItemReader" />
          <JsonField editor={editor} path={at('ItemBatcher')} label="ItemBatcher" hint='{"MaxItemsPerBatch": 10}' />
          <JsonField editor={editor} path={at('ResultWriter')} label="ResultWriter" />
          <div className={css.pair}>
            <NumberField editor={editor} path={at('ToleratedFailurePercentage')} label="Tolerated failures, %" />
            <NumberField editor={editor} path={at('ToleratedFailureCount')} label="Tolerated failures" />
          </div>
          <TextField editor={editor} path={at('Label')} label="Label" />
        </>
      )}
      {typeof start === 'string' && <Button variant="default" onClick={() => onSelect(`${place.id}#0/${start}`)}>{t.goTo(start)}</Button>}
    </>
  );
}

function Data({ editor, place, language }: { editor: Editor; place: Place; language: string }) {
  const at = (field: string): JsonPath => [...place.path, field];
  const does = (...types: string[]) => types.includes(place.type);
  if (language === 'JSONata') {
    return (
      <>
        {does('Task', 'Parallel') && <JsonField editor={editor} path={at('Arguments')} label="Arguments" rows={4} hint={t.json} />}
        <JsonField editor={editor} path={at('Output')} label="Output" rows={4} hint={does('Task', 'Parallel', 'Map') ? '{% $states.result %}' : '{% $states.input %}'} />
      </>
    );
  }
  return (
    <>
      <JsonField editor={editor} path={at('InputPath')} label="InputPath" rows={1} hint='"$"' />
      {does('Task', 'Parallel', 'Map', 'Pass') && <JsonField editor={editor} path={at('Parameters')} label="Parameters" rows={4} hint='{"x.$": "$.x"}' />}
      {does('Task', 'Parallel', 'Map') && <JsonField editor={editor} path={at('ResultSelector')} label="ResultSelector" hint='{"x.$": "$.x"}' />}
      {does('Task', 'Parallel', 'Map', 'Pass') && <JsonField editor={editor} path={at('ResultPath')} label="ResultPath" rows={1} hint='"$"' />}
      <JsonField editor={editor} path={at('OutputPath')} label="OutputPath" rows={1} hint='"$"' />
    </>
  );
}

function Variables({ editor, place }: { editor: Editor; place: Place }) {
  const names = variablesFor(editor.machine, place.id);
  return (
    <>
      <p className={css.help}>{t.assignText}</p>
      <JsonField editor={editor} path={[...place.path, 'Assign']} label="Assign" rows={5} hint='{"count": 1}' />
      <div>
        <div className={css.label}>{t.readable}</div>
        {names.length === 0 ? <p className={css.help}>{t.noVariables}</p> : <ul className={css.chips}>{names.map((n) => <li key={n}><code className="mono">${n}</code></li>)}</ul>}
      </div>
    </>
  );
}

const usualErrors = ['States.ALL', 'States.TaskFailed', 'States.Timeout', 'States.HeartbeatTimeout', 'States.Permissions', 'Lambda.TooManyRequestsException', 'Agent.TaskFailed', 'Review.Rejected'];

function ErrorsField({ editor, path }: { editor: Editor; path: JsonPath }) {
  const value = op.read(editor.machine, path);
  const text = Array.isArray(value) ? value.join(', ') : '';
  const [typed, setTyped] = useState(text);
  useEffect(() => setTyped(text), [text]);
  const id = `errors-${path.join('-').replace(/[^a-z0-9]+/gi, '-')}`;
  return (
    <>
      <TextInput
        label={t.errors}
        value={typed}
        list={id}
        classNames={{ input: css.mono! }}
        disabled={editor.broken !== undefined}
        onChange={(e) => setTyped(e.currentTarget.value)}
        onBlur={() => {
          const list = typed.split(',').map((x) => x.trim()).filter(Boolean);
          if (list.join(', ') !== text) editor.apply(op.setField(editor.machine, path, list));
        }}
      />
      <datalist id={id}>{usualErrors.map((e) => <option key={e} value={e} />)}</datalist>
    </>
  );
}

function Errors({ editor, place, attempt }: { editor: Editor; place: Place } & Attempt) {
  const m = editor.machine;
  const [retry, handlers] = [[...place.path, 'Retry'], [...place.path, 'Catch']];
  const retriers = nodeAt(m.root, retry)?.items ?? [];
  const catchers = nodeAt(m.root, handlers)?.items ?? [];
  const jsonata = languageOf(m.root, place.path) === 'JSONata';
  const drop = (list: JsonPath, i: number, of: number) => editor.apply(op.setField(m, of === 1 ? list : [...list, i], undefined));
  return (
    <>
      <div className={css.group} role="group" aria-label={t.retry}>
        <h3 className={css.groupTitle}>{t.retry}</h3>
        {retriers.map((r, i) => (
          <Part key={i} title={t.retrier(i + 1)} onRemove={() => drop(retry, i, retriers.length)}>
            <ErrorsField editor={editor} path={[...retry, i, 'ErrorEquals']} />
            <div className={css.triple}>
              <CountField editor={editor} path={[...retry, i, 'IntervalSeconds']} label={t.interval} usual={1} min={1} />
              <CountField editor={editor} path={[...retry, i, 'MaxAttempts']} label={t.attempts} usual={3} min={0} />
              <CountField editor={editor} path={[...retry, i, 'BackoffRate']} label={t.backoff} usual={2} min={1} step={0.5} />
            </div>
            <div className={css.pair}>
              <CountField editor={editor} path={[...retry, i, 'MaxDelaySeconds']} label={t.maxDelay} usual={undefined} min={1} />
              <ChoiceField editor={editor} path={[...retry, i, 'JitterStrategy']} label={t.jitter} data={['FULL', 'NONE'].map((v) => ({ value: v, label: v }))} none="NONE" />
            </div>
            <RetryLadder retrier={valueOf(r) as Retrier} />
          </Part>
        ))}
        <Button
          variant="default"
          leftSection={<IconPlus size={14} />}
          disabled={editor.broken !== undefined}
          onClick={() => attempt(() => (retriers.length > 0 ? { ...op.setField(m, [...retry, retriers.length], { ErrorEquals: ['States.Timeout'], MaxAttempts: 2 }) } : op.setField(m, retry, [{ ErrorEquals: ['States.ALL'], IntervalSeconds: 1, MaxAttempts: 3, BackoffRate: 2 }])))}
        >
          {t.addRetrier}
        </Button>
      </div>
      <div className={css.group} role="group" aria-label={t.catch}>
        <h3 className={css.groupTitle}>{t.catch}</h3>
        {catchers.map((_, i) => (
          <Part key={i} title={t.catcher(i + 1)} onRemove={() => drop(handlers, i, catchers.length)}>
            <ErrorsField editor={editor} path={[...handlers, i, 'ErrorEquals']} />
            <NextField editor={editor} place={place} slot={{ kind: 'catch', from: place.id, index: i }} label={t.next} none={undefined} />
            {jsonata ? <JsonField editor={editor} path={[...handlers, i, 'Output']} label="Output" rows={1} hint="{% $states.errorOutput %}" /> : <JsonField editor={editor} path={[...handlers, i, 'ResultPath']} label="ResultPath" rows={1} hint='"$"' />}
          </Part>
        ))}
        <Button variant="default" leftSection={<IconPlus size={14} />} disabled={editor.broken !== undefined} onClick={() => attempt(() => op.addCatcher(m, place.id))}>{t.addCatcher}</Button>
      </div>
    </>
  );
}

/** What is about the whole machine, shown while no state is chosen. */
export function MachineForm({ editor, onClose }: { editor: Editor; onClose: () => void }) {
  const m = editor.machine;
  return (
    <Inspector label={t.machineForm} title={t.machineForm} onClose={onClose}>
      <div className={css.fields}>
        <TextField editor={editor} path={['Comment']} label={t.comment} />
        <ChoiceField editor={editor} path={['QueryLanguage']} label={t.language} data={['JSONPath', 'JSONata'].map((v) => ({ value: v, label: v }))} none="JSONPath" />
        <ChoiceField editor={editor} path={['StartAt']} label={t.startAt} data={namesIn(m.root, []).map((n) => ({ value: n, label: n }))} />
        <NumberField editor={editor} path={['TimeoutSeconds']} label={t.timeout} min={1} />
      </div>
    </Inspector>
  );
}
