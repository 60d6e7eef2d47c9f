using System.Runtime.InteropServices;
using GemmaCore.Inputs;

namespace GemmaCore.Generation.Constraints;

/// <summary>
/// The deterministic automaton of a <see cref="Grammar"/>, built where it is walked. A state is a set of places in the program, each with a stack of returns;
/// stacks are numbered, equal ones once. Work and memory are bounded: what needs more states than the limit is given up with an error. Not thread-safe.
/// </summary>
internal sealed class LazyAutomaton
{
    /// <summary>The state from which nothing is allowed any more.</summary>
    public const int Dead = -1;

    /// <summary>The state before the first byte.</summary>
    public const int Start = 0;

    private const int Unknown = -2, MaxItems = 400_000;

    private readonly Grammar _grammar;
    private readonly byte[] _classOf, _representatives;
    private readonly List<(int Parent, int Return, int Depth)> _stacks = [(-1, -1, 0)];
    private readonly Dictionary<(int Parent, int Return), int> _stackIds = [];
    private readonly List<State> _states = [];
    private readonly Dictionary<long[], int> _stateIds = new(new SetComparer());
    private readonly HashSet<long> _seen = [];
    private readonly List<long> _items = [], _todo = [];
    private int _itemCount;

    /// <param name="grammar">What is allowed.</param>
    /// <param name="ignoresFirstSpace">A space at the very beginning is no part of the text: LLaMA's tokenizers drop it.</param>
    public LazyAutomaton(Grammar grammar, bool ignoresFirstSpace)
    {
        _grammar = grammar;
        (_classOf, _representatives) = grammar.ByteClasses();
        int start = Intern(grammar.Start);
        if (!ignoresFirstSpace) return;
        // The same places under another number, so that nothing leads back here.
        State first = _states[start];
        _states.Add(first with { Next = NewRow() });
        _states[Start] = first with { Next = NewRow() };
        _states[Start].Next[_classOf[' ']] = _states.Count - 1;
        _stateIds[first.Items] = _states.Count - 1;
    }

    private readonly record struct State(long[] Items, int[] Next, bool Accepts);

    /// <summary>States so far.</summary>
    public int StateCount => _states.Count;

    /// <summary>True when the text may end here.</summary>
    public bool Accepts(int state) => _states[state].Accepts;

    /// <summary>True when no byte may follow.</summary>
    public bool IsFinal(int state) => _states[state].Items.Length <= 1;

    /// <summary>Where a byte leads.</summary>
    /// <exception cref="InputException">The limit of states is reached.</exception>
    public int Step(int state, byte value)
    {
        int known = _states[state].Next[_classOf[value]];
        return known == Unknown ? Explore(state, _classOf[value]) : known;
    }

    private int Explore(int state, byte @class)
    {
        byte value = _representatives[@class];
        ReadOnlySpan<Instruction> program = _grammar.Program;
        State from = _states[state];
        _todo.Clear();
        foreach (long item in from.Items.AsSpan(1))
        {
            Instruction instruction = program[(int)item];
            if (value >= instruction.Low && value <= instruction.High) _todo.Add(item & ~0xFFFFFFFFL | (uint)instruction.A);
        }

        int next = _todo.Count == 0 ? Dead : Close();
        from.Next[@class] = next;
        return next;
    }

    private int Intern(int start)
    {
        _todo.Clear();
        _todo.Add(start);
        return Close();
    }

    // Follows everything that takes no byte, and names the set of places that do. What could not be finished within the depth is left out.
    private int Close()
    {
        ReadOnlySpan<Instruction> program = _grammar.Program;
        ReadOnlySpan<int> heights = _grammar.Heights;
        _seen.Clear();
        _items.Clear();
        _items.Add(0);
        for (bool accepts = false; ;)
        {
            if (_todo.Count == 0)
            {
                _items[0] = accepts ? 1 : 0;
                return Name(accepts);
            }

            long item = _todo[^1];
            _todo.RemoveAt(_todo.Count - 1);
            int at = (int)item, stack = (int)(item >> 32);
            if (heights[at] + _stacks[stack].Depth > Grammar.MaxDepth || !_seen.Add(item)) continue;
            if (_seen.Count > MaxItems) throw TooComplex();
            Instruction instruction = program[at];
            switch (instruction.Op)
            {
                case Op.Byte:
                    _items.Add(item);
                    break;
                case Op.Split:
                    _todo.Add((long)stack << 32 | (uint)instruction.B);
                    _todo.Add((long)stack << 32 | (uint)instruction.A);
                    break;
                case Op.Call:
                    _todo.Add((long)Push(stack, instruction.B) << 32 | (uint)instruction.A);
                    break;
                default:
                    if (stack == 0) accepts = true;
                    else _todo.Add((long)_stacks[stack].Parent << 32 | (uint)_stacks[stack].Return);
                    break;
            }
        }
    }

    private int Name(bool accepts)
    {
        Span<long> items = CollectionsMarshal.AsSpan(_items);
        if (items.Length == 1 && !accepts) return Dead;
        items[1..].Sort();
        if (_stateIds.GetAlternateLookup<ReadOnlySpan<long>>().TryGetValue(items, out int known)) return known;
        _itemCount += items.Length + _representatives.Length / 2; // a row of next states takes memory too
        if (_itemCount > MaxItems) throw TooComplex();
        long[] key = items.ToArray();
        _states.Add(new State(key, NewRow(), accepts));
        return _stateIds[key] = _states.Count - 1;
    }

    private int Push(int parent, int @return)
    {
        ref int id = ref CollectionsMarshal.GetValueRefOrAddDefault(_stackIds, (parent, @return), out bool exists);
        if (exists) return id;
        id = _stacks.Count;
        _stacks.Add((parent, @return, _stacks[parent].Depth + 1));
        return id;
    }

    private int[] NewRow()
    {
        int[] row = new int[_representatives.Length];
        Array.Fill(row, Unknown);
        return row;
    }

    private static InputException TooComplex() => new($"the constraint is too complex: its automaton grew beyond {MaxItems} places; make it simpler");

    private sealed class SetComparer : IEqualityComparer<long[]>, IAlternateEqualityComparer<ReadOnlySpan<long>, long[]>
    {
        public bool Equals(long[]? x, long[]? y) => x.AsSpan().SequenceEqual(y);

        public int GetHashCode(long[] obj) => GetHashCode(obj.AsSpan());

        public bool Equals(ReadOnlySpan<long> alternate, long[] other) => alternate.SequenceEqual(other);

        public int GetHashCode(ReadOnlySpan<long> alternate)
        {
            var hash = new HashCode();
            hash.AddBytes(MemoryMarshal.AsBytes(alternate));
            return hash.ToHashCode();
        }

        public long[] Create(ReadOnlySpan<long> alternate) => alternate.ToArray();
    }
}
