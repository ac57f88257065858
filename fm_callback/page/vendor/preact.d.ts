export function h(type: unknown, props: object | null, ...children: unknown[]): unknown;
export function render(vnode: unknown, parent: Element): void;
export class Component {
  setState(state: object): void;
}
