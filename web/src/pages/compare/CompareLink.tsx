import { Button, Menu } from '@mantine/core';
import { IconArrowsDiff } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { compare as t } from '../../strings/compare.ts';

/** For a list: compares the two executions that are selected; of another number there is nothing to compare. */
export function CompareSelected({ arns }: { arns: readonly string[] }) {
  if (arns.length !== 2) return null;
  return (
    <Button variant="default" leftSection={<IconArrowsDiff size={14} />} renderRoot={(props) => <Link {...props} to="/executions/compare" search={{ a: arns[0], b: arns[1] } as never} />}>
      {t.action}
    </Button>
  );
}

/** For a menu of an execution: chooses another one to compare with. */
export function CompareWith({ arn }: { arn: string }) {
  return (
    <Menu.Item leftSection={<IconArrowsDiff size={15} />} renderRoot={(props) => <Link {...props} to="/executions/compare" search={{ a: arn } as never} />}>
      {t.compareWith}
    </Menu.Item>
  );
}
