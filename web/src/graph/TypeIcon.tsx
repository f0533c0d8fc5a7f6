import { IconArrowsSplit2, IconBolt, IconCircleCheck, IconCircleX, IconClock, IconColumns2, IconQuestionMark, IconRepeat, IconArrowRight, type Icon } from '@tabler/icons-react';

const icons: Record<string, Icon> = {
  Task: IconBolt,
  Choice: IconArrowsSplit2,
  Wait: IconClock,
  Pass: IconArrowRight,
  Parallel: IconColumns2,
  Map: IconRepeat,
  Succeed: IconCircleCheck,
  Fail: IconCircleX,
};

/** The icon of a type of state. */
export function TypeIcon({ type, size = 17 }: { type: string; size?: number }) {
  const Shown = icons[type] ?? IconQuestionMark;
  return <Shown size={size} stroke={1.7} aria-hidden="true" />;
}
