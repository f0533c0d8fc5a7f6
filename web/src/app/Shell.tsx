import { ActionIcon, Drawer, Indicator, Popover, SegmentedControl, Tooltip, UnstyledButton, useComputedColorScheme, useMantineColorScheme } from '@mantine/core';
import { useDisclosure, useLocalStorage, useMediaQuery } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import { IconChecklist, IconKeyboard, IconLayoutSidebarLeftCollapse, IconLayoutSidebarLeftExpand, IconLogout, IconMenu2, IconSearch, IconUserCircle } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link, Outlet, useNavigate, useRouter, useRouterState } from '@tanstack/react-router';
import { Suspense, useEffect, useState } from 'react';
import { displayName, sessionQuery, signOut } from '../api/session.ts';
import { openStream, useNewerServer, useStreamState } from '../api/stream/client.ts';
import { waitingReviews } from '../api/reviews.ts';
import { ErrorState } from '../kit/ErrorState.tsx';
import { Kbd } from '../kit/Kbd.tsx';
import { common, shell } from '../strings/index.ts';
import { onServer } from './base.ts';
import { copyText } from './clipboard.ts';
import { useShortcuts, type Shortcut } from './keys.ts';
import { Mark } from './Mark.tsx';
import { NotificationBell } from './Notifications.tsx';
import { placeToGo, places, rememberPlace, sections, type Place } from './nav.ts';
import { Palette, openPalette } from './Palette.tsx';
import { ShortcutSheet } from './ShortcutSheet.tsx';
import css from './Shell.module.css';

/** The frame around all pages: header, navigation, and the page. Somebody who has to sign in is sent to do so. */
export function Shell() {
  const session = useQuery(sessionQuery);
  if (session.isPending) return <div className={css.quiet} role="status" aria-label={common.loading} />;
  if (session.isError) {
    return (
      <main className={css.alone}>
        <ErrorState error={session.error} retry={() => void session.refetch()} />
      </main>
    );
  }
  if (session.data === null) return <ToSignIn />;
  return <Inside />;
}

/** Leads to the sign-in page, once, which leads back. */
function ToSignIn() {
  const router = useRouter();
  useEffect(() => {
    const next = router.state.location.href;
    if (!next.startsWith('/sign-in')) void router.navigate({ to: '/sign-in', search: next === '/' ? {} : ({ next } as never), replace: true });
  }, [router]);
  return null;
}

function Inside() {
  const [collapsed, setCollapsed] = useLocalStorage({ key: 'lockstep.nav-collapsed', defaultValue: false });
  const narrow = useMediaQuery('(max-width: 760px)', window.innerWidth <= 760, { getInitialValueInEffect: false });
  const [drawer, { open, close }] = useDisclosure(false);
  const [sheet, setSheet] = useState(false);
  const location = useRouterState({ select: (s) => s.location });

  useEffect(openStream, []);
  useEffect(() => {
    rememberPlace(location.pathname, location.searchStr);
    close();
  }, [location.pathname, location.searchStr, close]);
  useShellKeys(() => setSheet(true));

  return (
    <div className={css.shell} data-collapsed={collapsed || undefined}>
      <a href="#content" className={css.skip} onClick={(e) => { e.preventDefault(); document.getElementById('content')?.focus(); }}>
        {shell.skip}
      </a>
      <header className={css.header}>
        {narrow && (
          <ActionIcon onClick={open} aria-label={shell.openMenu} size={36}>
            <IconMenu2 size={20} />
          </ActionIcon>
        )}
        <Link to="/" className={css.brand} aria-label={common.product}>
          <Mark />
          <span className={css.word}>{common.product}</span>
        </Link>
        <UnstyledButton className={css.search} onClick={openPalette} aria-keyshortcuts="Control+K">
          <IconSearch size={15} aria-hidden="true" />
          <span className={css.searchText}>{shell.search}</span>
          <span aria-hidden="true"><Kbd keys="Ctrl K" /></span>
        </UnstyledButton>
        <div className={css.right}>
          <LiveChip />
          <ReviewBell />
          <NotificationBell />
          <UserMenu openSheet={() => setSheet(true)} />
        </div>
      </header>
      {narrow ? (
        <Drawer opened={drawer} onClose={close} size={264} title={<Mark withWord />} closeButtonProps={{ 'aria-label': shell.closeMenu }}>
          <Navigation collapsed={false} />
        </Drawer>
      ) : (
        <div className={css.side}>
          <Navigation collapsed={collapsed} />
          <Tooltip label={collapsed ? shell.expand : shell.collapse} position="right">
            <UnstyledButton className={css.collapse} onClick={() => setCollapsed(!collapsed)} aria-label={collapsed ? shell.expand : shell.collapse}>
              {collapsed ? <IconLayoutSidebarLeftExpand size={17} /> : <IconLayoutSidebarLeftCollapse size={17} />}
            </UnstyledButton>
          </Tooltip>
        </div>
      )}
      <NewerServer />
      <main id="content" tabIndex={-1} className={css.main}>
        <Suspense fallback={null}>
          <Outlet />
        </Suspense>
      </main>
      <Palette />
      <ShortcutSheet opened={sheet} onClose={() => setSheet(false)} />
    </div>
  );
}

function Navigation({ collapsed }: { collapsed: boolean }) {
  const path = useRouterState({ select: (s) => s.location.pathname });
  return (
    <nav aria-label={shell.mainNav} className={css.nav}>
      {sections.map((section) => (
        <div key={section.label} className={css.section}>
          <div className={css.sectionLabel}>{collapsed ? <hr className={css.rule} /> : section.label}</div>
          <ul className={css.list}>
            {section.places.map((p) => (
              <li key={p.id}>
                <NavEntry place={p} collapsed={collapsed} active={path === p.to || path.startsWith(`${p.to}/`) || (p.id === 'executions' && path.startsWith('/maprun/'))} />
              </li>
            ))}
          </ul>
        </div>
      ))}
    </nav>
  );
}

function NavEntry({ place: p, collapsed, active }: { place: Place; collapsed: boolean; active: boolean }) {
  const waiting = useQuery({ ...waitingReviews, enabled: p.id === 'reviews' });
  const count = p.id === 'reviews' ? (waiting.data ?? 0) : 0;
  const entry = (
    <Link to={(active ? p.to : placeToGo(p)) as '/'} className={css.entry} aria-current={active ? 'page' : undefined} aria-label={collapsed ? p.label : undefined}>
      <p.icon size={17} stroke={1.7} aria-hidden="true" />
      {!collapsed && <span className={css.entryText}>{p.label}</span>}
      {count > 0 && <span className={`${css.count} num`} aria-label={shell.reviewsWaiting(count)}>{count > 99 ? '99+' : count}</span>}
    </Link>
  );
  return collapsed ? <Tooltip label={p.label} position="right" openDelay={100}>{entry}</Tooltip> : entry;
}

function LiveChip() {
  const state = useStreamState();
  const { label, text } = {
    live: { label: shell.live, text: shell.liveText },
    reconnecting: { label: shell.reconnecting, text: shell.reconnectingText },
    offline: { label: shell.offline, text: shell.offlineText(state.is === 'offline' ? new Date(state.since).toLocaleTimeString() : '') },
    off: { label: shell.noStream, text: shell.noStreamText },
  }[state.is];
  return (
    <Tooltip label={text} multiline maw={280}>
      <span className={css.live} data-is={state.is} role="status" tabIndex={0}>
        <span className={css.dot} aria-hidden="true" />
        <span className={css.liveText}>{label}</span>
      </span>
    </Tooltip>
  );
}

/** Offers a reload to a page that is older than the server. */
function NewerServer() {
  const newer = useNewerServer();
  useEffect(() => {
    if (!newer) return;
    notifications.show({
      id: 'newer',
      title: shell.newerTitle,
      autoClose: false,
      message: <>{shell.newerText} <UnstyledButton className={css.reload} onClick={() => location.reload()}>{shell.reload}</UnstyledButton></>,
    });
  }, [newer]);
  return null;
}

function ReviewBell() {
  const waiting = useQuery(waitingReviews);
  const count = waiting.data ?? 0;
  return (
    <Tooltip label={shell.reviewsWaiting(count)}>
      <Indicator disabled={count === 0} label={count > 99 ? '99+' : count} size={15} offset={5} color="var(--ls-person)" classNames={{ indicator: css.bellCount! }}>
        <ActionIcon component={Link} to="/reviews" aria-label={shell.reviewsWaiting(count)} size={32}>
          <IconChecklist size={18} stroke={1.7} />
        </ActionIcon>
      </Indicator>
    </Tooltip>
  );
}

function UserMenu({ openSheet }: { openSheet: () => void }) {
  const { data: session } = useQuery(sessionQuery);
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const [open, setOpen] = useState(false);
  // A fresh page: nothing of what was on this one stays in memory.
  const leave = () =>
    signOut().then(
      () => location.assign(onServer('/sign-in')),
      (err: unknown) => notifications.show({ color: 'red', message: err instanceof Error ? err.message : String(err) }),
    );
  return (
    <Popover width={248} position="bottom-end" trapFocus opened={open} onChange={setOpen}>
      <Popover.Target>
        <ActionIcon aria-label={`${shell.account}: ${session ? displayName(session.user) : ''}`} size={32} onClick={() => setOpen(!open)}>
          <IconUserCircle size={20} stroke={1.6} />
        </ActionIcon>
      </Popover.Target>
      <Popover.Dropdown p={8} aria-label={shell.account}>
        <div className={css.who}>
          <strong className="truncate">{session && displayName(session.user)}</strong>
          <span className="dim truncate">{session?.dev ? shell.devUser : session?.user.email}</span>
        </div>
        <div className={css.themes}>
          <span className="dim">{shell.theme}</span>
          <SegmentedControl
            fullWidth
            aria-label={shell.theme}
            value={colorScheme}
            onChange={(v) => setColorScheme(v as 'auto' | 'light' | 'dark')}
            data={(['auto', 'light', 'dark'] as const).map((value) => ({ value, label: shell.themes[value] }))}
          />
        </div>
        <UnstyledButton className={css.action} onClick={() => { setOpen(false); openSheet(); }}>
          <IconKeyboard size={16} aria-hidden="true" />
          <span className={css.entryText}>{shell.keyboard}</span>
          <span aria-hidden="true"><Kbd keys="?" /></span>
        </UnstyledButton>
        {session && !session.dev && (
          <UnstyledButton className={css.action} onClick={() => void leave()}>
            <IconLogout size={16} aria-hidden="true" />
            <span className={css.entryText}>{shell.signOut}</span>
          </UnstyledButton>
        )}
      </Popover.Dropdown>
    </Popover>
  );
}

function useShellKeys(openSheet: () => void) {
  const navigate = useNavigate();
  const { setColorScheme } = useMantineColorScheme();
  const shown = useComputedColorScheme();
  const everywhere: Shortcut[] = [
    { keys: 'Ctrl k', label: shell.keys.palette, group: shell.keys.everywhere, run: openPalette, whileTyping: true },
    { keys: '?', label: shell.keys.sheet, group: shell.keys.everywhere, run: openSheet },
    { keys: 't', label: shell.keys.theme, group: shell.keys.everywhere, run: () => setColorScheme(shown === 'dark' ? 'light' : 'dark') },
    {
      keys: 'Ctrl .',
      label: shell.keys.link,
      group: shell.keys.everywhere,
      run: () => void copyText(location.href).then(() => notifications.show({ message: shell.linkCopied })),
      whileTyping: true,
    },
    ...places.flatMap((p): Shortcut[] =>
      p.key ? [{ keys: `g ${p.key}`, label: p.label, group: shell.keys.goTo, run: () => void navigate({ to: placeToGo(p) as '/' }) }] : [],
    ),
  ];
  useShortcuts(everywhere);
}
