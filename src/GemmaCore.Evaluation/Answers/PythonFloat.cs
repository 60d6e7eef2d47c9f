using System.Globalization;

namespace GemmaCore.Evaluation;

/// <summary>Python's <c>float(text)</c>: blanks around, underscores between digits, exponents, <c>inf</c> and <c>nan</c>; no commas, no units.</summary>
public static class PythonFloat
{
    /// <summary>The number of a text.</summary>
    /// <returns>False where Python raises.</returns>
    public static bool TryParse(string text, out double value)
    {
        ArgumentNullException.ThrowIfNull(text);
        string word = text.Trim();
        value = 0;
        string bare = word.TrimStart('+', '-').ToLowerInvariant();
        if (word.Length - bare.Length > 1 || bare.Length == 0) return false;
        if (bare is "inf" or "infinity" or "nan")
        {
            value = bare == "nan" ? double.NaN : word[0] == '-' ? double.NegativeInfinity : double.PositiveInfinity;
            return true;
        }

        for (int i = 0; i < bare.Length; i++)
        {
            if (char.IsAsciiDigit(bare[i]) || bare[i] is '.' or 'e' or '+' or '-') continue;
            // 1_000 is a thousand; an underscore stands between two digits.
            if (bare[i] != '_' || i == 0 || i + 1 == bare.Length || !char.IsAsciiDigit(bare[i - 1]) || !char.IsAsciiDigit(bare[i + 1])) return false;
        }

        const NumberStyles styles = NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent | NumberStyles.AllowLeadingSign;
        return double.TryParse(word.Replace("_", "", StringComparison.Ordinal), styles, CultureInfo.InvariantCulture, out value);
    }
}
