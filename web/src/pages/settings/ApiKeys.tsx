import { Button, Checkbox, Modal, Select, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useRights } from '../../api/agents.ts';
import { keyActs, keysQuery, scopes, type ApiKey, type KeyKind } from '../../api/settings.ts';
import { Confirm, CopyBlock, DataTable, ErrorState, Panel, TimeAgo } from '../../kit/index.ts';
import { common } from '../../strings/index.ts';
import { settings as t } from '../../strings/settings.ts';
import { FormDialog, options } from './parts.tsx';
import css from './settings.module.css';

/** Keys of every kind; what is secret of one is shown once. */
export function ApiKeys() {
  const rights = useRights();
  return (
    <>
      <Keys kind="tokens" />
      <Keys kind="access-keys" />
      {rights.manages && <Keys kind="service-keys" />}
    </>
  );
}

function Keys({ kind }: { kind: KeyKind }) {
  const keys = useQuery(keysQuery(kind));
  const rights = useRights();
  const client = useQueryClient();
  const [adding, setAdding] = useState(false);
  const [made, setMade] = useState<ApiKey>();
  const [ending, setEnding] = useState<ApiKey>();
  const fresh = () => client.invalidateQueries({ queryKey: ['keys', kind] });
  const text = kind === 'access-keys' && rights.dev ? `${t.keyTexts[kind]} ${t.devAccess}` : t.keyTexts[kind];
  return (
    <Panel title={t.keyKinds[kind]!} text={text} bare actions={<Button variant="default" onClick={() => setAdding(true)}>{t.newKey(t.kinds[kind]!)}</Button>}>
      {keys.isError ? (
        <ErrorState error={keys.error} retry={() => void keys.refetch()} />
      ) : (
        <DataTable<ApiKey>
          plain
          name={`keys-${kind}`}
          label={t.keyKinds[kind]!}
          rows={keys.data ?? []}
          rowId={(k) => k.id}
          loading={keys.isPending}
          empty={<p className="dim" style={{ padding: '4px 16px' }}>{t.noKeys}</p>}
          columns={[
            { id: 'id', label: t.key, always: true, width: '210px', cell: (k) => <span className="mono">{k.id}{kind === 'access-keys' ? '' : '…'}</span> },
            { id: 'name', label: t.what, cell: (k) => k.name || '–' },
            ...(kind === 'service-keys' ? [{ id: 'scopes', label: t.scopes, cell: (k: ApiKey) => (k.scopes ?? []).join(', ') }] : []),
            { id: 'created', label: t.createdAt, width: '130px', cell: (k) => <TimeAgo at={k.created_at} /> },
            { id: 'used', label: t.lastUsed, width: '130px', cell: (k) => <TimeAgo at={k.last_used} /> },
            { id: 'expires', label: t.expires, width: '130px', cell: (k) => (k.expires_at ? <TimeAgo at={k.expires_at} absolute /> : t.never) },
            { id: 'end', label: t.endKey, width: '80px', align: 'right', cell: (k) => <Button size="compact-xs" variant="default" aria-label={`${t.endKey} ${k.id}`} onClick={() => setEnding(k)}>{t.endKey}</Button> },
          ]}
        />
      )}
      {adding && <NewKey kind={kind} onClose={() => setAdding(false)} onMade={(k) => { setMade(k); void fresh(); }} />}
      {made && (
        <Modal opened onClose={() => setMade(undefined)} title={t.newKey(t.kinds[kind]!)} size={560} closeButtonProps={{ 'aria-label': common.close }}>
          <div className={css.stack}>
            <div>{t.shownOnce}</div>
            {made.secret_access_key ? (
              <>
                <CopyBlock name={t.accessKeyId} label={t.accessKeyId} text={made.id} />
                <CopyBlock name={t.secretKey} label={t.secretKey} text={made.secret_access_key} />
              </>
            ) : (
              <CopyBlock label={t.key} text={made.key ?? ''} />
            )}
          </div>
        </Modal>
      )}
      {ending && <Confirm danger title={t.endKeyTitle(ending.id)} verb={t.endKey} run={() => keyActs.end(kind, ending.id).then(fresh)} onClose={() => setEnding(undefined)}>{t.endKeyText}</Confirm>}
    </Panel>
  );
}

function NewKey({ kind, onClose, onMade }: { kind: KeyKind; onClose: () => void; onMade: (k: ApiKey) => void }) {
  const rights = useRights();
  const [name, setName] = useState('');
  const [days, setDays] = useState('');
  const [chosen, setChosen] = useState<string[]>(['read']);
  const run = async () => {
    const expires = days ? { expires_at: new Date(Date.now() + Number(days) * 86_400_000).toISOString() } : {};
    onMade(await keyActs.make(kind, { name, ...expires, ...(kind === 'service-keys' ? { scopes: chosen } : {}) }));
  };
  return (
    <FormDialog title={t.newKey(t.kinds[kind]!)} verb={t.make} run={run} onClose={onClose}>
      <TextInput label={t.what} value={name} onChange={(e) => setName(e.currentTarget.value)} required data-autofocus />
      {kind === 'service-keys' && (
        <Checkbox.Group label={t.scopes} value={chosen} onChange={setChosen}>
          <div className={css.pair} style={{ gap: 8, marginTop: 6 }}>
            {scopes.filter((s) => rights.can(s) || s === 'usage' || s === 'metrics').map((s) => <Checkbox key={s} value={s} label={s} />)}
          </div>
        </Checkbox.Group>
      )}
      <Select label={t.expires} value={days} data={options(t.expiresIn)} onChange={(v) => setDays(v ?? '')} allowDeselect={false} />
    </FormDialog>
  );
}
