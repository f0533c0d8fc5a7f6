import { useQuery } from '@tanstack/react-query';
import { healthQuery, type Band } from '../../api/agents.ts';
import { DataTable, ErrorState, formatBytes, formatDuration, Panel, StatusBadge, TimeAgo } from '../../kit/index.ts';
import { agents as t } from '../../strings/agents.ts';
import css from './agents.module.css';

/** A value of a figure as people read it. */
export function formatFigure(figure: string, v: number): string {
  if (figure.endsWith('_rate')) return `${(v * 100).toFixed(v > 0 && v < 0.1 ? 1 : 0)} %`;
  if (figure.startsWith('length')) return formatBytes(Math.round(v));
  return formatDuration(v * 1000);
}

/** The figures by which an agent's quiet failures are noticed. */
export function HealthPanel({ slug }: { slug: string }) {
  const health = useQuery(healthQuery(slug));
  if (health.isError) return <ErrorState error={health.error} retry={() => void health.refetch()} />;
  const alerts = health.data?.alerts ?? [];
  return (
    <>
      {alerts.length > 0 && (
        <Panel title={t.alertsTitle}>
          <div className={css.stack}>
            {alerts.map((a) => (
              <div key={a.figure} style={{ display: 'flex', gap: 10, flexWrap: 'wrap' }}>
                <StatusBadge status="failed" label={t.healthOut} size="sm" />
                <span>{t.alertText(t.figuresOf[a.figure] ?? a.figure, formatFigure(a.figure, a.now), formatFigure(a.figure, a.low), formatFigure(a.figure, a.high))}</span>
                <span className="dim">{t.since} <TimeAgo at={a.since} /></span>
              </div>
            ))}
          </div>
        </Panel>
      )}
      <Panel title={t.healthTitle} text={t.healthText} bare>
        <DataTable<Band>
          name="health"
          plain
          label={t.healthTitle}
          rows={health.data?.figures ?? []}
          rowId={(b) => b.figure}
          loading={health.isPending}
          columns={[
            { id: 'figure', label: t.figure, always: true, cell: (b) => t.figuresOf[b.figure] ?? b.figure },
            { id: 'now', label: t.today, align: 'right', width: '110px', cell: (b) => <span className={b.out ? css.out : undefined}>{b.sample > 0 ? formatFigure(b.figure, b.now) : '–'}</span> },
            { id: 'usual', label: t.usual, align: 'right', width: '110px', cell: (b) => (b.before > 0 ? formatFigure(b.figure, b.usual) : '–') },
            { id: 'band', label: t.band, align: 'right', width: '170px', cell: (b) => (b.enough ? `${formatFigure(b.figure, b.low)} – ${formatFigure(b.figure, b.high)}` : '–') },
            { id: 'sample', label: t.sample, align: 'right', width: '130px', cell: (b) => `${b.sample} / ${b.before}` },
            { id: 'out', label: t.standing, width: '170px', cell: (b) => (b.out ? <StatusBadge status="failed" label={t.healthOut} size="sm" /> : b.enough ? <StatusBadge status="succeeded" label={t.healthOk} size="sm" /> : <StatusBadge status="idle" label={t.healthFew} size="sm" />) },
          ]}
        />
        {health.data?.figures?.some((b) => !b.enough) && <p className="dim" style={{ fontSize: 12 }}>{t.healthFewText}</p>}
      </Panel>
    </>
  );
}
