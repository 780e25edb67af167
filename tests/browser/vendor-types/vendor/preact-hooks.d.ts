export function useEffect(effect: () => void | undefined | (() => void), inputs?: readonly unknown[]): void;
export function useLayoutEffect(effect: () => void | (() => void), inputs?: readonly unknown[]): void;
export function useMemo<T>(make: () => T, inputs: readonly unknown[]): T;
export function useRef<T>(value: T): { current: T };
export function useState<T>(value: T): [T, (value: T) => void];
