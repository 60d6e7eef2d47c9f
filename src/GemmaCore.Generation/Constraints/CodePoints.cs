namespace GemmaCore.Generation.Constraints;

/// <summary>A set of Unicode code points as ranges in order; surrogates are never in it.</summary>
internal sealed class CodePoints
{
    private const int Last = 0x10FFFF;

    private readonly (int Low, int High)[] _ranges;

    private CodePoints((int Low, int High)[] ranges) => _ranges = ranges;

    public static CodePoints All { get; } = Of((0, Last));

    public static CodePoints Digits { get; } = Of(('0', '9'));

    public static CodePoints WordCharacters { get; } = Of(('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z'));

    public static CodePoints Blanks { get; } = Of(('\t', '\r'), (' ', ' '));

    public IReadOnlyList<(int Low, int High)> Ranges => _ranges;

    public bool IsEmpty => _ranges.Length == 0;

    public static CodePoints Single(int codePoint) => Of((codePoint, codePoint));

    /// <summary>Ranges in any order; they may overlap.</summary>
    public static CodePoints Of(params IEnumerable<(int Low, int High)> ranges)
    {
        var merged = new List<(int Low, int High)>();
        foreach ((int low, int high) in ranges.Where(range => range.Low <= range.High).Order())
        {
            if (merged.Count > 0 && low <= merged[^1].High + 1) merged[^1] = (merged[^1].Low, Math.Max(merged[^1].High, high));
            else merged.Add((low, high));
        }

        return new CodePoints([.. merged.SelectMany(WithoutSurrogates)]);
    }

    public CodePoints Union(CodePoints other) => Of(_ranges.Concat(other._ranges));

    public CodePoints Complement()
    {
        var gaps = new List<(int, int)>();
        int from = 0;
        foreach ((int low, int high) in _ranges)
        {
            gaps.Add((from, low - 1));
            from = high + 1;
        }

        gaps.Add((from, Last));
        return Of(gaps);
    }

    public CodePoints Intersect(CodePoints other) => Complement().Union(other.Complement()).Complement();

    public bool Contains(int codePoint) => _ranges.Any(range => codePoint >= range.Low && codePoint <= range.High);

    /// <summary>One character of the set, as UTF-8.</summary>
    public Pattern Utf8()
    {
        var choices = new List<Pattern>();
        foreach ((int low, int high) in _ranges)
        {
            int from = low;
            foreach (int end in (ReadOnlySpan<int>)[0x7F, 0x7FF, 0xFFFF, Last])
            {
                if (from > end) continue;
                AddUtf8(from, Math.Min(high, end), choices);
                from = end + 1;
                if (from > high) break;
            }
        }

        return Pattern.OneOf(choices);
    }

    private static IEnumerable<(int Low, int High)> WithoutSurrogates((int Low, int High) range)
    {
        (int low, int high) = range;
        if (low < 0xD800) yield return (low, Math.Min(high, 0xD7FF));
        if (high > 0xDFFF) yield return (Math.Max(low, 0xE000), high);
    }

    // A range whose characters have equally many bytes, cut until all bytes after the first that differs run from 80 to BF.
    private static void AddUtf8(int low, int high, List<Pattern> choices)
    {
        Span<byte> first = stackalloc byte[4], last = stackalloc byte[4];
        int length = new System.Text.Rune(low).EncodeToUtf8(first);
        for (int bits = 6; bits <= 6 * (length - 1); bits += 6)
        {
            int mask = (1 << bits) - 1;
            if ((low & ~mask) == (high & ~mask)) break;
            if ((low & mask) != 0)
            {
                AddUtf8(low, low | mask, choices);
                AddUtf8((low | mask) + 1, high, choices);
                return;
            }

            if ((high & mask) == mask) continue;
            AddUtf8(low, (high & ~mask) - 1, choices);
            AddUtf8(high & ~mask, high, choices);
            return;
        }

        new System.Text.Rune(high).EncodeToUtf8(last);
        var parts = new Pattern[length];
        for (int i = 0; i < length; i++) parts[i] = Pattern.Byte(first[i], last[i]);
        choices.Add(Pattern.Sequence(parts));
    }
}
