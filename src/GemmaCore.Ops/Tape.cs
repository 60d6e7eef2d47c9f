using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// Records the operations of one forward pass and replays their backward passes in reverse. It has no other cleverness: no graph,
/// no shapes, no arithmetic. A null tape means inference and costs an operation one branch.
/// </summary>
/// <remarks>
/// Gradients are kept per view, keyed by address. The rule everywhere: parameter gradients accumulate; the first writer of an
/// activation's gradient overwrites, later writers accumulate. A gradient returns to the pool when the operation that produced its
/// activation has been replayed. Views must stay in place (not be rewound) from <see cref="Record"/> to <see cref="Backward"/>.
/// </remarks>
public sealed class Tape
{
    private readonly record struct Entry(string Operation, TensorView Output, Action Backward);

    private readonly GradientPool _gradients;
    private readonly HashSet<nint> _tracked = [];
    private readonly List<Entry> _entries = [];
    private readonly bool _records = true;

    /// <summary>An empty tape.</summary>
    /// <param name="arena">Where operations put what they save for the backward pass.</param>
    /// <param name="gradients">Memory for activation gradients; kept from step to step.</param>
    /// <param name="seed">Seed of this micro-batch's dropout masks; a replay under the same seed draws the same masks.</param>
    public Tape(Arena arena, GradientPool gradients, ulong seed)
    {
        ArgumentNullException.ThrowIfNull(arena);
        ArgumentNullException.ThrowIfNull(gradients);
        Arena = arena;
        _gradients = gradients;
        Seed = seed;
    }

    // A tape that only carries the seed: dropout draws its masks, nothing is recorded.
    private Tape(Tape outer, int firstRow, bool records) : this(outer.Arena, outer._gradients, outer.Seed) => (FirstRow, _records) = (firstRow, records);

    /// <summary>Where operations put what they save for the backward pass.</summary>
    public Arena Arena { get; }

    /// <summary>Seed of this micro-batch's dropout masks.</summary>
    public ulong Seed { get; }

    /// <summary>Row of the micro-batch that is row 0 of what comes next: parts of a micro-batch draw the masks that it would draw as a whole.</summary>
    public int FirstRow { get; set; }

    /// <summary>True when a gradient will flow to this view, so that operations reading it must be recorded.</summary>
    public bool Tracks(TensorView view) => _tracked.Contains(view.Pointer);

    /// <summary>Declares a view whose gradient is wanted although no recorded operation made it (the input of a recomputed block).</summary>
    public void Track(TensorView view) => _tracked.Add(view.Pointer);

    /// <summary>Records an operation that made <paramref name="output"/>; <paramref name="backward"/> turns its gradient into those of the inputs.</summary>
    public void Record(string operation, TensorView output, Action backward)
    {
        if (!_records) return;
        _tracked.Add(output.Pointer);
        _entries.Add(new Entry(operation, output, backward));
    }

    /// <summary>The gradient of a recorded output, complete when its operation's backward pass runs.</summary>
    public TensorView GradientOf(TensorView output) => _gradients.Find(output)
        ?? throw new InvalidOperationException($"Tape: no gradient has reached {output}");

    /// <summary>Where to put the gradient of an input: overwrite it, or add to it when <paramref name="accumulate"/> is set.</summary>
    public TensorView GradientFor(TensorView input, out bool accumulate) => _gradients.FindOrTake(input, out accumulate);

    /// <summary>
    /// Lets <paramref name="input"/> take over the gradient memory of <paramref name="output"/> where it has no gradient yet
    /// (y = x + …: dX starts as dY, and y's gradient is needed no more). False when the caller must add instead.
    /// </summary>
    public bool TryHandOver(TensorView output, TensorView input) => _gradients.TryMove(output, input);

    /// <summary>
    /// Runs <paramref name="block"/> without saving anything, and again with a tape when the backward pass reaches it
    /// (gradient checkpointing, arXiv:1604.06174). Both times dropout draws the same masks, from the same seed.
    /// </summary>
    /// <param name="name">Name of the block, for messages.</param>
    /// <param name="x">Input whose gradient the block continues; kept alive by the caller.</param>
    /// <param name="y">Output, taken by the caller before this call.</param>
    /// <param name="block">Computes y from x; the tape it gets the first time records nothing.</param>
    public void Recompute(string name, TensorView x, TensorView y, Action<Tape> block)
    {
        ArgumentNullException.ThrowIfNull(block);
        Arena.Mark mark = Arena.Position;
        int firstRow = FirstRow;
        block(new Tape(this, firstRow, records: false));
        Arena.Rewind(mark);
        Record(name, y, () =>
        {
            Arena.Mark start = Arena.Position;
            var inner = new Tape(this, firstRow, records: true);
            if (Tracks(x)) inner.Track(x);
            block(inner);
            inner.Replay(y.Pointer);
            Arena.Rewind(start);
        });
    }

    /// <summary>Replays everything, newest first, and returns all activation gradients to the pool. The tape is empty afterwards.</summary>
    public void Backward()
    {
        Replay(outer: 0);
        _gradients.ReturnAll();
    }

    private void Replay(nint outer)
    {
        for (int i = _entries.Count - 1; i >= 0; i--)
        {
            Entry entry = _entries[i];
            // An output that nothing used has no gradient, and its operation nothing to pass on.
            if (_gradients.Find(entry.Output) is null) continue;
            entry.Backward();
            // An in-place operation shares its address with its input, whose producer still needs the gradient.
            bool stillNeeded = entry.Output.Pointer == outer || HasEarlierProducer(i, entry.Output.Pointer);
            if (!stillNeeded) _gradients.Return(entry.Output);
        }

        _entries.Clear();
        _tracked.Clear();
    }

    private bool HasEarlierProducer(int index, nint pointer)
    {
        for (int i = index - 1; i >= 0; i--)
            if (_entries[i].Output.Pointer == pointer) return true;
        return false;
    }
}
