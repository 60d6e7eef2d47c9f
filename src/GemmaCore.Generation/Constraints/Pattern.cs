namespace GemmaCore.Generation.Constraints;

/// <summary>
/// A set of byte strings, written as an expression. Nodes are shared where a part occurs in several places, and equality is identity: <see cref="GrammarBuilder"/>
/// then builds such a part once.
/// </summary>
internal abstract class Pattern
{
    /// <summary>The empty string.</summary>
    public static Pattern Empty { get; } = new SequencePattern([]);

    /// <summary>One byte from a range.</summary>
    public static Pattern Byte(byte low, byte high) => new BytePattern(low, high);

    /// <summary>A text, as UTF-8.</summary>
    public static Pattern Text(string text) => Bytes(System.Text.Encoding.UTF8.GetBytes(text));

    /// <summary>A byte string.</summary>
    public static Pattern Bytes(ReadOnlySpan<byte> bytes)
    {
        var parts = new Pattern[bytes.Length];
        for (int i = 0; i < parts.Length; i++) parts[i] = new BytePattern(bytes[i], bytes[i]);
        return parts.Length == 1 ? parts[0] : new SequencePattern(parts);
    }

    /// <summary>One after the other.</summary>
    public static Pattern Sequence(params IReadOnlyList<Pattern> parts) => parts.Count == 1 ? parts[0] : new SequencePattern(parts);

    /// <summary>Any of them.</summary>
    public static Pattern OneOf(params IReadOnlyList<Pattern> choices) => choices.Count == 1 ? choices[0] : new ChoicePattern(choices);

    /// <summary>At least <paramref name="least"/> and at most <paramref name="most"/> times; null for any number.</summary>
    public static Pattern Repeat(Pattern item, int least, int? most) => new RepeatPattern(item, least, most);

    /// <summary>Once or not at all.</summary>
    public static Pattern Optional(Pattern item) => new RepeatPattern(item, 0, 1);
}

/// <summary>One byte from <paramref name="low"/> to <paramref name="high"/>.</summary>
internal sealed class BytePattern(byte low, byte high) : Pattern
{
    public byte Low => low;

    public byte High => high;
}

/// <summary>One after the other.</summary>
internal sealed class SequencePattern(IReadOnlyList<Pattern> parts) : Pattern
{
    public IReadOnlyList<Pattern> Parts => parts;
}

/// <summary>Any of several; none of none.</summary>
internal sealed class ChoicePattern(IReadOnlyList<Pattern> choices) : Pattern
{
    public IReadOnlyList<Pattern> Choices => choices;
}

/// <summary>Several times.</summary>
internal sealed class RepeatPattern(Pattern item, int least, int? most) : Pattern
{
    public Pattern Item => item;

    public int Least => least;

    public int? Most => most;
}

/// <summary>A named part that may contain itself: what makes nesting possible.</summary>
internal sealed class RulePattern(string name) : Pattern
{
    /// <summary>For messages.</summary>
    public string Name => name;

    /// <summary>What it stands for; set before a grammar is built.</summary>
    public Pattern? Body { get; set; }
}
