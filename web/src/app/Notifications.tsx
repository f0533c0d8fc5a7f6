import { ActionIcon, Button, Indicator, Popover, Tooltip } from '@mantine/core';
import { IconBell } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { markRead, noticesQuery, placeOf, type Notice } from '../api/notices.ts';
import { TimeAgo } from '../kit/TimeAgo.tsx';
import { notices as t } from '../strings/notices.ts';
import css from './Notifications.module.css';

/** What is for whoever is signed in: how much is new, the list, and where each leads. */
export function NotificationBell() {
  const [open, setOpen] = useState(false);
  const client = useQueryClient();
  const { data } = useQuery(noticesQuery);
  const unread = data?.unread ?? 0;
  const list = [...(data?.notifications ?? [])].sort((a, b) => b.at.localeCompare(a.at));
  const read = async (ids?: string[]) => {
    await markRead(ids).catch(() => undefined);
    await client.invalidateQueries({ queryKey: ['notifications'] });
  };
  const leave = (n: Notice) => {
    setOpen(false);
    if (!n.read_at) void read([n.id]);
  };
  return (
    <Popover opened={open} onChange={setOpen} width={380} position="bottom-end" trapFocus returnFocus>
      <Popover.Target>
        <Tooltip label={t.unread(unread)} disabled={open}>
          <Indicator disabled={unread === 0} label={unread > 99 ? '99+' : unread} size={15} offset={5} color="var(--ls-accent)" classNames={{ indicator: css.count! }}>
            <ActionIcon aria-label={t.unread(unread)} aria-expanded={open} aria-haspopup="dialog" size={32} onClick={() => setOpen(!open)}>
              <IconBell size={18} stroke={1.7} />
            </ActionIcon>
          </Indicator>
        </Tooltip>
      </Popover.Target>
      <Popover.Dropdown p={0} aria-label={t.title}>
        <div className={css.head}>
          <h2>{t.title}</h2>
          {unread > 0 && <Button size="compact-xs" variant="subtle" onClick={() => void read()}>{t.markAll}</Button>}
        </div>
        {list.length === 0 ? (
          <p className={css.empty}>{t.empty}</p>
        ) : (
          <ul className={css.list}>
            {list.map((n) => (
              <li key={n.id} className={css.item} data-new={!n.read_at || undefined}>
                <Link to={placeOf(n) as '/'} onClick={() => leave(n)}>
                  <span className={css.dot} data-new={!n.read_at || undefined} aria-hidden="true" />
                  <span className={css.title}>{!n.read_at && <span className="sr-only">{t.isNew}: </span>}{n.title}</span>
                  <span className={css.meta}>{t.types[n.type] ?? n.type} · <TimeAgo at={n.at} /></span>
                </Link>
              </li>
            ))}
          </ul>
        )}
        <div className={css.foot}><Link to="/settings/$section" params={{ section: 'notifications' }} onClick={() => setOpen(false)}>{t.settings}</Link></div>
      </Popover.Dropdown>
    </Popover>
  );
}
