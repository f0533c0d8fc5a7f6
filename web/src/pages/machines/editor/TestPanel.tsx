import { useMemo } from 'react';
import { usualRole } from '../../../api/machines.ts';
import type { Place } from '../../../asl/machine.ts';
import type { State } from '../../../graph/definition.ts';
import { statesOf } from '../../teststate/form.ts';
import { TestStatePanel } from '../../teststate/TestStatePanel.tsx';
import type { Editor } from './useEditor.ts';

/** Tests one state of the definition as it is being edited; machine is '' as long as it is not published. */
export function TestPanel({ editor, place, machine, draft }: { editor: Editor; place: Place; machine: string; draft: string }) {
  const found = useMemo(() => statesOf(editor.text).find((s) => s.name === place.name), [editor.text, place.name]);
  // While the text is broken, the state is what the form has of it; the server says the rest.
  const state = found ?? ({ id: place.id, name: place.name, type: place.type, end: false, scopes: [], source: {} } satisfies State);
  return <TestStatePanel key={place.name} definition={editor.text} state={state} machine={machine} roleArn={usualRole} keep={`${draft}/${place.name}`} narrow />;
}
