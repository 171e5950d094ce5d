// CTC in log space, as in minids/ops/reference/ctc.py, and Viterbi. Tables are [t][s], of frames and states, or
// [t][k], of frames and characters.
(() => {
  if (window.minidsCtc) return;

  const BLANK = 0, LOG_0 = -Infinity;

  const add = (...terms) => {  // logaddexp
    const most = Math.max(...terms);
    return most === LOG_0 ? LOG_0 : most + Math.log(terms.reduce((sum, x) => sum + Math.exp(x - most), 0));
  };
  const most = (...terms) => Math.max(...terms);
  const statesOf = (label) => [BLANK, ...label.flatMap((k) => [k, BLANK])];
  const canSkip = (states, s) => s > 1 && states[s] !== BLANK && states[s] !== states[s - 2];
  const before = (states, s) => [s, s - 1, s - 2].filter((r) => r >= 0 && (r > s - 2 || canSkip(states, s)));
  const after = (states, s) => [s, s + 1, s + 2].filter(
    (r) => r < states.length && (r < s + 2 || canSkip(states, r)));

  function forwardVariables(logY, states, sum = add) {
    const alpha = [];
    logY.forEach((row, t) => alpha.push(states.map((k, s) =>
      row[k] + (t ? sum(...before(states, s).map((r) => alpha[t - 1][r])) : s < 2 ? 0 : LOG_0))));
    return alpha;
  }

  function backwardVariables(logY, states, sum = add) {
    const beta = [], T = logY.length;
    for (let t = T - 1; t >= 0; t--) {
      beta[t] = states.map((_, s) => t === T - 1
        ? (s >= states.length - 2 ? 0 : LOG_0)
        : sum(...after(states, s).map((r) => logY[t + 1][states[r]] + beta[t + 1][r])));
    }
    return beta;
  }

  function ctc(logY, label) {
    const states = statesOf(label), alpha = forwardVariables(logY, states);
    const beta = backwardVariables(logY, states);
    const logP = add(...alpha[alpha.length - 1].slice(-2));
    const possible = logP > LOG_0;
    const gamma = alpha.map((row, t) => row.map((a, s) => possible ? Math.exp(a + beta[t][s] - logP) : 0));
    const desired = logY.map((row, t) => row.map((_, k) =>  // γ of a character: the sum over its states
      gamma[t].reduce((sum, g, s) => states[s] === k ? sum + g : sum, 0)));
    const gradient = logY.map((row, t) => row.map((x, k) => possible ? Math.exp(x) - desired[t][k] : 0));
    return { states, alpha, beta, gamma, desired, gradient, logP, loss: -logP };
  }

  function bestPathThrough(logY, states, t0, s0) {  // Viterbi: the states, and the log-probability
    const to = forwardVariables(logY, states, most), from = backwardVariables(logY, states, most);
    const best = (choices, score) => choices.reduce((a, b) => score(b) > score(a) ? b : a);
    const path = [];
    path[t0] = s0;
    for (let t = t0; t > 0; t--) path[t - 1] = best(before(states, path[t]), (r) => to[t - 1][r]);
    for (let t = t0 + 1; t < logY.length; t++) {
      path[t] = best(after(states, path[t - 1]), (r) => logY[t][states[r]] + from[t][r]);
    }
    return { path, logP: to[t0][s0] + from[t0][s0] };
  }

  function statesThrough(states, { t, s }, T) {  // per frame, the set of the states on any path through a node
    const sets = [];
    sets[t] = new Set([s]);
    for (let i = t; i > 0; i--) sets[i - 1] = new Set([...sets[i]].flatMap((r) => before(states, r)));
    for (let i = t; i < T - 1; i++) sets[i + 1] = new Set([...sets[i]].flatMap((r) => after(states, r)));
    return sets;
  }

  const logSoftmax = (row) => { const sum = add(...row); return row.map((x) => x - sum); };
  const log = (y) => y.map((row) => row.map(Math.log));

  window.minidsCtc = { add, statesOf, before, after, ctc, bestPathThrough, statesThrough, logSoftmax, log };
})();
