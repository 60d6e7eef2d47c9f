using GemmaCore.Inputs;

namespace GemmaCore.Generation.Constraints;

/// <summary>
/// What an answer may be, compiled for a model's vocabulary (<see cref="ConstraintCompiler"/>): for every point of an answer the set of tokens that may follow. Sets are
/// computed when they are needed first and kept. Safe to use from several threads and in any number of answers.
/// </summary>
public sealed class Constraint
{
    /// <summary>Sets that are kept; each takes a bit for every token of the vocabulary (32 KiB for Gemma's).</summary>
    private const int MaxMasks = 256;

    private readonly VocabularyTrie _trie;
    private readonly LazyAutomaton _automaton;
    private readonly Dictionary<int, ulong[]> _masks = [];
    private readonly Lock _lock = new();

    /// <param name="key">Its content as text, by which it is kept.</param>
    /// <param name="pattern">What it allows.</param>
    /// <param name="trie">The vocabulary.</param>
    /// <exception cref="InputException">It is too large or allows nothing.</exception>
    internal Constraint(string key, Pattern pattern, VocabularyTrie trie)
    {
        (Key, Pattern, _trie) = (key, pattern, trie);
        _automaton = new LazyAutomaton(GrammarBuilder.Build(pattern), trie.StripsLeadingSpace);
        // The first set is computed at once: what is far too complex shows here, and not while others wait for a step.
        if (IsEmpty(MaskOf(LazyAutomaton.Start)) && !_automaton.Accepts(LazyAutomaton.Start)) throw new InputException("no token of the model's vocabulary can begin what it allows");
    }

    /// <summary>Tokens of the vocabulary that it is compiled for.</summary>
    public int TokenCount => _trie.TokenCount;

    /// <summary>True when a whole text is allowed.</summary>
    public bool Allows(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        int state = Advance(LazyAutomaton.Start, System.Text.Encoding.UTF8.GetBytes(text));
        return state != LazyAutomaton.Dead && Accepts(state);
    }

    internal string Key { get; }

    internal Pattern Pattern { get; }

    internal bool IsFor(VocabularyTrie trie) => ReferenceEquals(_trie, trie);

    /// <summary>The tokens that may follow, a bit each; not to be changed.</summary>
    /// <exception cref="InputException">The constraint turns out to be too complex.</exception>
    internal ulong[] MaskOf(int state)
    {
        lock (_lock)
        {
            if (_masks.TryGetValue(state, out ulong[]? known)) return known;
            if (_masks.Count == MaxMasks) _masks.Clear();
            ulong[] mask = new ulong[(_trie.TokenCount + 63) / 64];
            _trie.Fill(_automaton, state, mask);
            return _masks[state] = mask;
        }
    }

    /// <summary>Where a token leads; <see cref="LazyAutomaton.Dead"/> when it is not allowed.</summary>
    internal int Advance(int state, int id) => _trie.BytesOf(id) is { Length: > 0 } bytes ? Advance(state, bytes) : LazyAutomaton.Dead;

    internal bool Accepts(int state)
    {
        lock (_lock) return _automaton.Accepts(state);
    }

    /// <summary>True when the text must end here.</summary>
    internal bool IsFinal(int state)
    {
        lock (_lock) return _automaton.IsFinal(state);
    }

    private int Advance(int state, ReadOnlySpan<byte> bytes)
    {
        lock (_lock)
        {
            foreach (byte value in bytes)
            {
                state = _automaton.Step(state, value);
                if (state == LazyAutomaton.Dead) break;
            }

            return state;
        }
    }

    private static bool IsEmpty(ulong[] mask) => mask.AsSpan().IndexOfAnyExcept(0UL) < 0;
}
