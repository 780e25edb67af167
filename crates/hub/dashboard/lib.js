// The one door to the vendored libraries, so that no other module names a vendored file.
import { Fragment, h, render } from "./vendor/preact.js";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "./vendor/preact-hooks.js";
import { batch, computed, effect, signal, useComputed, useSignal, useSignalEffect } from "./vendor/signals.js";
import htm from "./vendor/htm.js";

/** JSX without a compiler: a tagged template that yields elements. */
const html = htm.bind(h);

export {
  Fragment, batch, computed, effect, h, html, render, signal,
  useComputed, useEffect, useLayoutEffect, useMemo, useRef, useSignal, useSignalEffect, useState,
};
