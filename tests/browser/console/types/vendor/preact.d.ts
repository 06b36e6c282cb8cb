// As much of preact as the console uses.
export type Child = unknown;
export function h(type: unknown, props: unknown, ...children: Child[]): Child;
export function render(child: Child, parent: Element): void;
export const Fragment: unknown;
