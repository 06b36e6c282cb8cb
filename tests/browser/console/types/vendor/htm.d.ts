// Templates. A slot may be a function: its arguments are whatever the component gives.
type Slot = ((...args: any[]) => unknown) | string | number | boolean | null | undefined | object;
declare const htm: { bind(h: unknown): (strings: TemplateStringsArray, ...slots: Slot[]) => object };
export default htm;
