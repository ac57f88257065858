type Inputs = readonly unknown[];
export function useEffect(effect: () => unknown, inputs?: Inputs): void;
export function useLayoutEffect(effect: () => unknown, inputs?: Inputs): void;
export function useMemo<T>(make: () => T, inputs: Inputs): T;
export function useRef<T = any>(value: T): { current: any };
export function useState<T>(value: T): [T, (next: T) => void];
