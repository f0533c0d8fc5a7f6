export const notices = {
  title: 'Notifications',
  unread: (n: number) => (n === 0 ? 'No new notifications' : n === 1 ? '1 new notification' : `${n} new notifications`),
  markAll: 'Mark all as read',
  empty: 'Nothing here yet. You hear when a review, a mention or a failure needs you.',
  settings: 'Choose what you hear of',
  isNew: 'New',
  types: {
    review_requested: 'Review requested', review_due: 'Review due', mentioned: 'Mentioned', blocked: 'Task blocked', failed: 'Task failed', budget_soft: 'Budget nearly used', budget_hard: 'Budget used up',
    agent_offline: 'Agent offline', agent_stalled: 'Agent stalled', handoff: 'Hand-off to approve', done: 'Task done', quiet_failure: 'Quiet failure', webhook_disabled: 'Webhook disabled',
  } as Record<string, string>,
  channels: { in_app: 'Here', email: 'E-mail', webhook: 'Webhook', slack: 'Slack' } as Record<string, string>,
};
