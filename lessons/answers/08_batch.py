"""The answers to lesson 8, common mistakes, and other right answers."""

import numpy as np

from minids.lesson.folder import answer


def pad(utterances):
    lengths = np.array([len(x) for x in utterances], np.int32)
    frames = np.zeros((lengths.max(), len(utterances), utterances[0].shape[1]))
    for b, x in enumerate(utterances):
        frames[: len(x), b] = x
    return frames, lengths


def by_length(lengths, batch_size):
    order = np.argsort(lengths)
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def birnn_in_batch(z, Wr_f, Wr_b, lengths):
    h, frames = np.zeros_like(z), range(len(z))
    for Wr, order in (Wr_f, frames), (Wr_b, reversed(frames)):
        state = np.zeros_like(z[0])
        for t in order:
            inside = (t < np.asarray(lengths))[:, None]
            state = np.where(inside, np.clip(z[t] + state @ Wr.T, 0, 20), 0)
            h[t] += state
    return h


def ctc_in_batch(log_y, lengths, labels):
    lattice, forward_variables = answer("lattice"), answer("forward_variables")
    losses, dlogits = np.zeros(len(labels)), np.zeros_like(log_y)
    for b, (T, label) in enumerate(zip(lengths, labels, strict=True)):
        alpha = forward_variables(log_y[:T, b], lattice(label))
        losses[b] = -np.logaddexp.reduce(alpha[-1, -2:])
        dlogits[:T, b] = answer("ctc_gradient")(log_y[:T, b], label)
    return losses, dlogits


def forward_variables(log_y, label):
    return answer("forward_variables")(log_y, answer("lattice")(label))


def ctc_gradient(log_y, label):
    return answer("ctc_gradient")(log_y, label)


def puts_the_padding_first(utterances):
    """Each recording is at the end of its column."""
    frames, lengths = pad(utterances)
    for b, x in enumerate(utterances):
        frames[:, b] = 0
        frames[len(frames) - len(x) :, b] = x
    return frames, lengths


def repeats_the_last_frame(utterances):
    """The padding is not 0 but the last frame."""
    frames, lengths = pad(utterances)
    for b, x in enumerate(utterances):
        frames[len(x) :, b] = x[-1]
    return frames, lengths


def repeats_the_recording(utterances):
    """np.resize fills up with the beginning of the recording, not with zeros."""
    frames, lengths = pad(utterances)
    T0, _, F = frames.shape
    return np.stack([np.resize(x, (T0, F)) for x in utterances], axis=1), lengths


def cuts_to_the_shortest(utterances):
    """There is no padding: the ends are lost."""
    shortest = min(len(x) for x in utterances)
    return np.stack([x[:shortest] for x in utterances], axis=1), np.full(
        len(utterances), shortest
    )


def puts_the_batch_first(utterances):
    """The shape is (B, T0, F): time comes first."""
    frames, lengths = pad(utterances)
    return frames.swapaxes(0, 1), lengths


def returns_equal_lengths(utterances):
    """Every length is that of the batch: padding counts as sound."""
    frames, lengths = pad(utterances)
    return frames, np.full_like(lengths, len(frames))


def uses_the_first_length(utterances):
    """The batch is as long as utterance 0: longer ones are cut."""
    frames, lengths = pad(utterances)
    return frames[: lengths[0]], np.minimum(lengths, lengths[0])


def sorts(utterances):
    """The recordings are sorted by length: they no longer match their texts."""
    return pad(sorted(utterances, key=len))


def assumes_three_features(utterances):
    """The number of features is fixed at 3."""
    frames = np.zeros((max(map(len, utterances)), len(utterances), 3))
    for b, x in enumerate(utterances):
        frames[: len(x), b, : x.shape[1]] = x[:, :3]
    return frames, np.array([len(x) for x in utterances])


def pads_one_frame_more(utterances):
    """There is a frame of padding after the longest recording, too."""
    frames, lengths = pad(utterances)
    return np.concatenate([frames, 0 * frames[:1]]), lengths


def returns_lengths_as_floats(utterances):
    """The lengths are floats, which cannot be used as indices."""
    frames, lengths = pad(utterances)
    return frames, lengths.astype(float)


def returns_no_lengths(utterances):
    """Only the frames are returned: nobody knows where the recordings end."""
    return pad(utterances)[0]


def pad_with_numpy(utterances):
    """np.pad each, then stack."""
    longest = max(map(len, utterances))
    frames = np.stack(
        [np.pad(x, ((0, longest - len(x)), (0, 0))) for x in utterances], axis=1
    )
    return frames, [len(x) for x in utterances]


def pad_in_float32(utterances):
    """Single precision, as the package has it."""
    frames, lengths = pad(utterances)
    return frames.astype(np.float32), lengths


def pad_by_frames(utterances):
    """Number by number."""
    lengths = [u.shape[0] for u in utterances]
    frames = np.zeros([max(lengths), len(utterances), utterances[0].shape[-1]])
    for t, b, f in np.ndindex(*frames.shape):
        if t < lengths[b]:
            frames[t, b, f] = utterances[b][t, f]
    return frames, tuple(lengths)


def keeps_the_order(lengths, batch_size):
    """The list is cut into batches without sorting it first."""
    return [
        list(range(len(lengths)))[i : i + batch_size]
        for i in range(0, len(lengths), batch_size)
    ]


def longest_first(lengths, batch_size):
    """The longest recordings come first."""
    order = np.argsort(-lengths)
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def drops_the_rest(lengths, batch_size):
    """Recordings that do not fill a batch are lost."""
    return [
        batch for batch in by_length(lengths, batch_size) if len(batch) == batch_size
    ]


def returns_lengths(lengths, batch_size):
    """The sorted lengths instead of the indices of the recordings."""
    order = np.sort(lengths)
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def confuses_the_number_with_the_size(lengths, batch_size):
    """`batch_size` batches instead of batches of that size."""
    return np.array_split(np.argsort(lengths), batch_size)


def spreads_the_rest(lengths, batch_size):
    """np.array_split makes batches of nearly equal size, not full ones and a rest."""
    return np.array_split(np.argsort(lengths), -(-len(lengths) // batch_size))


def strides(lengths, batch_size):
    """Every n-th recording of the sorted list: short and long ones are together."""
    order = np.argsort(lengths)
    n = -(-len(order) // batch_size)
    return [order[i::n] for i in range(n)]


def returns_floats(lengths, batch_size):
    """The indices are floats, which cannot be used as indices."""
    return [np.array(batch, float) for batch in by_length(lengths, batch_size)]


def uses_ranks(lengths, batch_size):
    """argsort of argsort is the rank of each recording, not the recording of each rank."""
    order = np.argsort(np.argsort(lengths))
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def loses_equal_lengths(lengths, batch_size):
    """A dictionary from length to index keeps one of several recordings of the same length."""
    index = {int(length): i for i, length in enumerate(lengths)}
    order = [index[length] for length in sorted(index)]
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def by_length_in_python(lengths, batch_size):
    """sorted() and lists."""
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    batches = []
    while order:
        batches.append(order[:batch_size])
        order = order[batch_size:]
    return batches


def by_length_with_split(lengths, batch_size):
    """np.split at multiples of the batch size."""
    return np.split(
        np.argsort(lengths, kind="stable"), range(batch_size, len(lengths), batch_size)
    )


def by_length_backward(lengths, batch_size):
    """Ties in another order, members of a batch reversed."""
    order = sorted(range(len(lengths)), key=lambda i: (lengths[i], -i))
    return tuple(
        order[i : i + batch_size][::-1] for i in range(0, len(order), batch_size)
    )


def both_directions(z, Wr_f, Wr_b, lengths, mask_f=True, mask_b=True, mask=np.where):
    """The answer, with parts of it left out."""
    h, frames = np.zeros_like(z), range(len(z))
    for Wr, order, masked in (Wr_f, frames, mask_f), (Wr_b, reversed(frames), mask_b):
        state = np.zeros_like(z[0])
        for t in order:
            state = np.clip(z[t] + state @ Wr.T, 0, 20)
            if masked:
                state = mask((t < lengths)[:, None], state, 0)
            h[t] += state
    return h


def has_no_masks(z, Wr_f, Wr_b, lengths):
    """The padding is computed like sound."""
    return both_directions(z, Wr_f, Wr_b, lengths, mask_f=False, mask_b=False)


def masks_the_sum_only(z, Wr_f, Wr_b, lengths):
    """Only the result is masked: the backward direction still starts in the padding."""
    h = both_directions(z, Wr_f, Wr_b, lengths, mask_f=False, mask_b=False)
    return np.where(
        np.arange(len(z))[:, None, None] < np.reshape(lengths, (-1, 1)), h, 0
    )


def masks_the_input_only(z, Wr_f, Wr_b, lengths):
    """z is 0 in the padding, but forward states continue into it, so h is not 0 there."""
    inside = np.arange(len(z))[:, None, None] < np.reshape(lengths, (-1, 1))
    return both_directions(
        np.where(inside, z, 0), Wr_f, Wr_b, lengths, mask_f=False, mask_b=False
    )


def leaves_forward_states(z, Wr_f, Wr_b, lengths):
    """The forward direction is not masked: h is not 0 in the padding."""
    return both_directions(z, Wr_f, Wr_b, lengths, mask_f=False)


def multiplies_by_the_mask(z, Wr_f, Wr_b, lengths):
    """The states are multiplied by 0 or 1, and NaN times 0 is NaN."""
    return both_directions(
        z, Wr_f, Wr_b, lengths, mask=lambda inside, state, _: inside * state
    )


def counts_one_frame_too_many(z, Wr_f, Wr_b, lengths):
    """t ≤ length instead of t < length: one frame of the padding is used."""
    return both_directions(z, Wr_f, Wr_b, lengths + 1)


def reverses_the_batch(z, Wr_f, Wr_b, lengths):
    """z[::-1] puts the padding first: the lengths do not apply to the reversed batch."""
    hf = (
        both_directions(z, Wr_f, 0 * Wr_b, lengths)
        - both_directions(z, 0 * Wr_f, 0 * Wr_b, lengths) / 2
    )
    reverse = both_directions(z[::-1], Wr_b, 0 * Wr_b, lengths)
    reverse -= both_directions(z[::-1], 0 * Wr_f, 0 * Wr_b, lengths) / 2
    return hf + reverse[::-1]


def uses_the_longest(z, Wr_f, Wr_b, lengths):
    """All recordings end with the longest."""
    return both_directions(z, Wr_f, Wr_b, np.full_like(lengths, max(lengths)))


def one_by_one(z, Wr_f, Wr_b, lengths):
    """Each recording alone, cut at its end."""
    h = np.zeros(z.shape)
    for b, T in enumerate(lengths):
        alone = z[:T, b : b + 1]
        h[:T, b : b + 1] = birnn_in_batch(alone, Wr_f, Wr_b, np.array([T]))
    return h


def with_clean_padding(z, Wr_f, Wr_b, lengths):
    """Zeros into a copy of z first, then a mask that is multiplied."""
    mask = (np.arange(len(z))[:, None] < lengths)[:, :, None]
    z = np.nan_to_num(z) * mask
    return both_directions(
        z, Wr_f, Wr_b, lengths, mask=lambda inside, state, _: inside * state
    )


def resets_finished_rows(z, Wr_f, Wr_b, lengths):
    """Boolean indexing, in two loops."""
    T, B, H = z.shape
    hf, hb = np.zeros((T, B, H)), np.zeros((T, B, H))
    state = np.zeros((B, H))
    for t in range(T):
        state = np.clip(z[t] + state @ Wr_f.T, 0, 20)
        state[lengths <= t] = 0
        hf[t] = state
    state = np.zeros((B, H))
    for t in range(T - 1, -1, -1):
        state = np.clip(z[t] + state @ Wr_b.T, 0, 20)
        state[lengths <= t] = 0
        hb[t] = state
    return hf + hb


def in_batch(log_y, lengths, labels, T_of=lambda b, lengths: lengths[b], sign=1):
    """The answer, with parts of it changed."""
    losses, dlogits = np.zeros(len(labels)), np.zeros_like(log_y)
    for b, label in enumerate(labels):
        T = T_of(b, lengths)
        alpha = forward_variables(log_y[:T, b], label)
        losses[b] = -np.logaddexp.reduce(alpha[-1, -2:])
        dlogits[:T, b] = sign * ctc_gradient(log_y[:T, b], label)
    return losses, dlogits


def aligns_the_padding(log_y, lengths, labels):
    """All recordings are as long as the batch: paths run through the padding."""
    return in_batch(log_y, lengths, labels, lambda b, lengths: len(log_y))


def uses_the_length_of_the_first(log_y, lengths, labels):
    """All recordings have the length of recording 0."""
    return in_batch(log_y, lengths, labels, lambda b, lengths: lengths[0])


def ends_in_the_blank(log_y, lengths, labels):
    """A path may also end in the last letter, not only in the last blank."""
    losses, dlogits = in_batch(log_y, lengths, labels)
    for b, T in enumerate(lengths):
        losses[b] = -forward_variables(log_y[:T, b], labels[b])[-1, -1]
    return losses, dlogits


def returns_the_sum(log_y, lengths, labels):
    """One loss for all instead of one for each recording."""
    losses, dlogits = in_batch(log_y, lengths, labels)
    return losses.sum(), dlogits


def returns_the_mean_gradient(log_y, lengths, labels):
    """The gradient of the mean: divided by B."""
    losses, dlogits = in_batch(log_y, lengths, labels)
    return losses, dlogits / len(labels)


def returns_log_probabilities(log_y, lengths, labels):
    """The losses have the wrong sign: a loss is -log p."""
    losses, dlogits = in_batch(log_y, lengths, labels)
    return -losses, dlogits


def reads_the_last_frame_of_the_batch(log_y, lengths, labels):
    """α of the last frame of the batch instead of the last frame of the recording."""
    losses, dlogits = in_batch(log_y, lengths, labels)
    for b, label in enumerate(labels):
        losses[b] = -np.logaddexp.reduce(forward_variables(log_y[:, b], label)[-1, -2:])
    return losses, dlogits


def leaves_the_output_in_the_padding(log_y, lengths, labels):
    """The gradient in the padding is ŷ, not 0."""
    losses, dlogits = in_batch(log_y, lengths, labels)
    for b, T in enumerate(lengths):
        dlogits[T:, b] = np.exp(log_y[T:, b])
    return losses, dlogits


def with_lists(log_y, lengths, labels):
    """Appends to lists, stacks at the end."""
    losses, gradients = [], []
    for b in range(log_y.shape[1]):
        y = log_y[: lengths[b], b]
        a = forward_variables(y, labels[b])[-1]
        losses.append(-np.logaddexp(a[-1], a[-2]) if len(a) > 1 else -a[-1])
        gradients.append(
            np.concatenate(
                [ctc_gradient(y, labels[b]), np.zeros_like(log_y[lengths[b] :, b])]
            )
        )
    return losses, np.stack(gradients, axis=1)


def with_a_sum_of_probabilities(log_y, lengths, labels):
    """The last two states as probabilities: fine for short recordings."""
    losses, dlogits = in_batch(log_y, lengths, labels)
    with np.errstate(divide="ignore"):
        for b, T in enumerate(lengths):
            alpha = forward_variables(log_y[:T, b], labels[b])
            losses[b] = -np.log(np.exp(alpha[T - 1][-2:]).sum())
    return losses, dlogits


HINTS = {
    "pad": [
        "Time comes first: np.zeros((longest, B, F)), and frames[:T0, b] is utterance b.",
        "lengths = np.array([len(x) for x in utterances]); F is utterances[0].shape[1].",
        "for b, x in enumerate(utterances): frames[: len(x), b] = x",
    ],
    "by_length": [
        "np.argsort(lengths) lists the recordings from the shortest to the longest.",
        "A slice may reach beyond the end: order[4:6] of five recordings has one.",
        "return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]",
    ],
    "birnn_in_batch": [
        "As in 4.1, in both directions, but in each frame the states of recordings that have ended are 0.",
        "At time t the recordings with t < lengths are inside: a mask (B, 1) is (t < lengths)[:, None].",
        "state = np.where((t < lengths)[:, None], np.clip(z[t] + state @ Wr.T, 0, 20), 0); h[t] += state",
    ],
    "ctc_in_batch": [
        "For each b, cut the batch at the end of its recording: log_y[:T, b] is what lessons 5 and 6 knew.",
        "The loss is minus the log of the sum of the last two states in the last frame: np.logaddexp.reduce.",
        "losses[b] = -np.logaddexp.reduce(forward_variables(log_y[:T, b], lattice(label))[-1, -2:])",
    ],
}

WRONG = {
    "pad": [
        puts_the_padding_first,
        repeats_the_last_frame,
        repeats_the_recording,
        cuts_to_the_shortest,
        puts_the_batch_first,
        returns_equal_lengths,
        uses_the_first_length,
        sorts,
        assumes_three_features,
        pads_one_frame_more,
        returns_lengths_as_floats,
        returns_no_lengths,
    ],
    "by_length": [
        keeps_the_order,
        longest_first,
        drops_the_rest,
        returns_lengths,
        confuses_the_number_with_the_size,
        spreads_the_rest,
        strides,
        returns_floats,
        uses_ranks,
        loses_equal_lengths,
    ],
    "birnn_in_batch": [
        has_no_masks,
        masks_the_sum_only,
        masks_the_input_only,
        leaves_forward_states,
        multiplies_by_the_mask,
        counts_one_frame_too_many,
        reverses_the_batch,
        uses_the_longest,
    ],
    "ctc_in_batch": [
        aligns_the_padding,
        uses_the_length_of_the_first,
        ends_in_the_blank,
        returns_the_sum,
        returns_the_mean_gradient,
        returns_log_probabilities,
        reads_the_last_frame_of_the_batch,
        leaves_the_output_in_the_padding,
    ],
}

RIGHT = {
    "pad": [pad_with_numpy, pad_in_float32, pad_by_frames],
    "by_length": [by_length_in_python, by_length_with_split, by_length_backward],
    "birnn_in_batch": [one_by_one, with_clean_padding, resets_finished_rows],
    "ctc_in_batch": [with_lists, with_a_sum_of_probabilities],
}
