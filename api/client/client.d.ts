/** What the client is told when it is made. */
export interface Options {
  /** Where the API is, as `https://abtest.example`; this page's own origin when absent. */
  url?: string;
  /** A publishable key: scope `decide`, limited to this page's origin. None is needed on loopback addresses; one that is given must be valid there too. */
  key?: string;
  /** The visitor, where the page knows who it is; else a random id is made and kept. */
  user?: string;
  /** Longest that a decision or a list is waited for, and that marked elements stay hidden, in milliseconds; 300. */
  timeout?: number;
  /** Whether anything may be stored in this browser, asked each time; until it may, all is kept in memory. */
  consent?: boolean | (() => boolean);
  /** Whether to report each decision that came in time as seen, for experiments with `"exposure": "event"`. */
  exposures?: boolean;
}

/** Who chose: the server, or, where its answer did not come, this client. */
export type Source =
  | 'policy'
  | 'holdout'
  | 'not_enrolled'
  | 'paused'
  | 'fallback'
  | 'timeout'
  | 'error'
  | 'opted_out';

/** What to show. */
export interface Decision<Payload = unknown> {
  experiment: string;
  /** The arm; null where nothing was decided, and the page shows its control. */
  arm: string | null;
  /** The arm's payload; the `fallback` of the call where nothing was decided. */
  payload: Payload;
  /** Names the decision: give it to `track`. */
  decision_id: string | null;
  source: Source;
  first?: boolean;
  day?: string;
  segment?: string;
  /** Probability of the arm when it was dealt. */
  propensity?: number;
  posterior_version?: number;
}

export interface DecideOptions<Payload = unknown> {
  /** What the visitor looks at, where the experiment is about items. */
  item?: string;
  /** Circumstances: what the experiment is segmented by, and its features. */
  context?: Record<string, string | number | boolean>;
  /** The control's payload, for when no answer comes in time; null when absent. */
  fallback?: Payload;
}

export interface TrackOptions {
  /** Size of the reward, 0 or more; 1 when absent. */
  value?: number;
  item?: string;
  /** The decision that it belongs to; without one it counts for this visitor's decisions of that item. */
  decisionId?: string | null;
  /** The only experiment that it is for. */
  experiment?: string;
}

export interface ListOptions {
  /** How many items; 10. */
  k?: number;
  tag?: string;
  exclude?: string;
  /** 0 to 1. */
  diversity?: number;
  max_per_tag?: number;
}

export interface Item<Payload = unknown> {
  id: string;
  score: number;
  payload: Payload;
}

export interface List<Payload = unknown> {
  /** Empty where no answer came in time. */
  items: Item<Payload>[];
  source: string;
  /** How many of the visitor's views it was made from. */
  history: number;
}

/** None of its methods throws or rejects. */
export interface Client {
  /** The visitor's id; null after `optOut`. */
  readonly user: string | null;
  /** Decides; the same question is asked once in a page's life. */
  decide<Payload = unknown>(experiment: string, options?: DecideOptions<Payload>): Promise<Decision<Payload>>;
  /** Reports a reward. */
  track(name: string, options?: TrackOptions): void;
  /** Reports that an item is looked at. */
  view(item: string): void;
  /** Items for this visitor. */
  recommend<Payload = unknown>(catalog: string, options?: ListOptions): Promise<List<Payload>>;
  /** Sends what waits; false if that must be tried again, which happens by itself. */
  flush(): Promise<boolean>;
  /** Forgets the visitor, and from now on decides, sends and stores nothing but this wish. */
  optOut(): void;
  /** Takes it back; a new visitor begins. */
  optIn(): void;
}

export function createClient(options?: Options): Client;
