import { createClient } from '@croupier/client';
import { useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';

const croupier = createClient({ url: 'http://127.0.0.1:8080' });

// Null until it is decided, which takes `timeout` at most.
function useDecision(experiment, options) {
  const [decision, setDecision] = useState(null);
  useEffect(() => {
    let current = true;
    croupier.decide(experiment, options).then((decided) => current && setDecision(decided));
    return () => {
      current = false;
    };
    // The client asks the same question once, so that effects may run again.
  }, [experiment, JSON.stringify(options)]);
  return decision;
}

function Headline() {
  const decision = useDecision('headline', { fallback: { text: 'Fits like yours' } });
  if (!decision) return <h1 style={{ visibility: 'hidden' }}>Fits like yours</h1>;
  return (
    <main data-arm={decision.arm ?? 'none'}>
      <h1>{decision.payload.text}</h1>
      <button onClick={() => croupier.track('click', { decisionId: decision.decision_id })}>Look around</button>
    </main>
  );
}

createRoot(document.getElementById('root')).render(<Headline />);
