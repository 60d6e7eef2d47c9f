using GemmaCore.Inputs;

namespace GemmaCore.Generation.Constraints;

/// <summary>
/// The texts of a vocabulary's tokens as a tree of bytes, in the order in which it is walked: a token is where its last byte is, and a subtree that is ruled out is left
/// in one jump. Tokens without text (marks of turns and pictures) are not in it. Immutable.
/// </summary>
internal sealed class VocabularyTrie
{
    private readonly byte[] _labels, _depths;
    private readonly int[] _tokens, _ends, _same, _starts;
    private readonly byte[] _bytes;

    public VocabularyTrie(Tokenizer tokenizer)
    {
        StripsLeadingSpace = tokenizer.StripsLeadingSpace;
        int count = tokenizer.VocabularySize;
        byte[][] texts = new byte[count][];
        for (int id = 0; id < count; id++) texts[id] = tokenizer.BytesOf(id);
        _starts = new int[count + 1];
        for (int id = 0; id < count; id++) _starts[id + 1] = _starts[id] + texts[id].Length;
        _bytes = [.. texts.SelectMany(text => text)];
        // A text longer than a depth can count (there is none in Gemma's vocabulary) is never allowed.
        int[] ids = [.. Enumerable.Range(0, count).Where(id => texts[id].Length is > 0 and < byte.MaxValue)];
        Array.Sort(ids, (a, b) => texts[a].AsSpan().SequenceCompareTo(texts[b]) is var order && order != 0 ? order : a.CompareTo(b));

        var labels = new List<byte>();
        var depths = new List<byte>();
        var tokens = new List<int>();
        _same = new int[count];
        ReadOnlySpan<byte> last = [];
        foreach (int id in ids)
        {
            ReadOnlySpan<byte> text = texts[id];
            if (text.SequenceEqual(last))
            {
                (_same[id], tokens[^1]) = (tokens[^1], id);
                continue;
            }

            for (int depth = text.CommonPrefixLength(last); depth < text.Length; depth++)
            {
                labels.Add(text[depth]);
                depths.Add((byte)(depth + 1));
                tokens.Add(-1);
            }

            (tokens[^1], _same[id]) = (id, -1);
            last = text;
        }

        (_labels, _depths, _tokens) = ([.. labels], [.. depths], [.. tokens]);
        _ends = Ends(_depths);
    }

    /// <summary>Tokens of the vocabulary, those without text included.</summary>
    public int TokenCount => _same.Length;

    /// <summary>Nodes of the tree.</summary>
    public int NodeCount => _labels.Length;

    /// <summary>A space at the beginning of a text is no part of it.</summary>
    public bool StripsLeadingSpace { get; }

    /// <summary>The bytes of a token; none for those without text.</summary>
    public ReadOnlySpan<byte> BytesOf(int id) => (uint)id < (uint)TokenCount ? _bytes.AsSpan(_starts[id].._starts[id + 1]) : [];

    /// <summary>Sets the bits of the tokens that may follow.</summary>
    /// <param name="automaton">What is allowed.</param>
    /// <param name="state">Where it is.</param>
    /// <param name="mask">A bit for every token, all zero at first.</param>
    public void Fill(LazyAutomaton automaton, int state, Span<ulong> mask)
    {
        Span<int> states = stackalloc int[byte.MaxValue + 1]; // by depth
        states[0] = state;
        for (int node = 0; node < _labels.Length;)
        {
            int depth = _depths[node], next = automaton.Step(states[depth - 1], _labels[node]);
            if (next == LazyAutomaton.Dead)
            {
                node = _ends[node];
                continue;
            }

            states[depth] = next;
            for (int id = _tokens[node]; id >= 0; id = _same[id]) mask[id >> 6] |= 1UL << id;
            node++;
        }
    }

    // Where the subtree of each node ends.
    private static int[] Ends(byte[] depths)
    {
        int[] ends = new int[depths.Length];
        Span<int> open = stackalloc int[byte.MaxValue + 1];
        int deepest = 0;
        for (int node = 0; node <= depths.Length; node++)
        {
            int depth = node < depths.Length ? depths[node] : 1;
            for (; deepest >= depth; deepest--) ends[open[deepest]] = node;
            open[depth] = node;
            deepest = depth;
        }

        return ends;
    }
}
