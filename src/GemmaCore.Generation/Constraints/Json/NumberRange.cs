using System.Globalization;
using GemmaCore.Inputs;

namespace GemmaCore.Generation.Constraints.Json;

/// <summary>Numbers between two bounds, both taken in, as patterns over their digits. They are written without exponents.</summary>
internal static class NumberRange
{
    private const int MaxDigits = JsonPatterns.MaxDigits;

    private static readonly decimal Largest = decimal.Parse(new string('9', MaxDigits), CultureInfo.InvariantCulture);

    /// <summary>Whole numbers.</summary>
    public static Pattern Integers(decimal? least, decimal? most)
    {
        decimal low = decimal.Ceiling(Clamp(least ?? -Largest)), high = decimal.Floor(Clamp(most ?? Largest));
        if (low > high) throw new InputException("no integer is within its bounds");
        var choices = new List<Pattern>();
        if (low < 0) choices.Add(Pattern.Sequence(Pattern.Text("-"), Wholes(Math.Max(1, -high), -low)));
        if (high >= 0) choices.Add(Wholes(Math.Max(0, low), high));
        return Pattern.OneOf(choices);
    }

    /// <summary>Numbers with or without a fraction.</summary>
    public static Pattern Numbers(decimal? least, decimal? most)
    {
        decimal low = Clamp(least ?? -Largest), high = Clamp(most ?? Largest);
        if (low > high) throw new InputException("no number is within its bounds");
        var choices = new List<Pattern>();
        if (low < 0) choices.Add(Pattern.Sequence(Pattern.Text("-"), Positive(Math.Max(0, -high), -low)));
        if (high >= 0) choices.Add(Positive(Math.Max(0, low), high));
        return Pattern.OneOf(choices);
    }

    private static decimal Clamp(decimal bound) => Math.Clamp(bound, -Largest, Largest);

    private static Pattern Positive(decimal low, decimal high)
    {
        decimal lowWhole = decimal.Floor(low), highWhole = decimal.Floor(high);
        string lowFraction = Fraction(low), highFraction = Fraction(high);
        if (lowWhole == highWhole) return Pattern.Sequence(Wholes(lowWhole, lowWhole), Within(lowFraction, highFraction));
        var choices = new List<Pattern> { Pattern.Sequence(Wholes(lowWhole, lowWhole), AtLeast(lowFraction)), Pattern.Sequence(Wholes(highWhole, highWhole), AtMost(highFraction)) };
        if (highWhole - lowWhole > 1) choices.Add(Pattern.Sequence(Wholes(lowWhole + 1, highWhole - 1), AtLeast("")));
        return Pattern.OneOf(choices);
    }

    private static Pattern Wholes(decimal low, decimal high)
    {
        var choices = new List<Pattern>();
        string first = Digits(low), last = Digits(high);
        for (int length = first.Length; length <= last.Length; length++)
        {
            string from = length == first.Length ? first : "1" + new string('0', length - 1), to = length == last.Length ? last : new string('9', length);
            choices.Add(Between(from, to));
        }

        return Pattern.OneOf(choices);
    }

    // Digit strings of one length, in the order of the alphabet.
    private static Pattern Between(string low, string high)
    {
        if (low.Length == 0) return Pattern.Empty;
        if (low.All(digit => digit == '0') && high.All(digit => digit == '9')) return Pattern.Repeat(JsonPatterns.Digit, low.Length, low.Length);
        if (low[0] == high[0]) return Pattern.Sequence(One(low[0], low[0]), Between(low[1..], high[1..]));
        int rest = low.Length - 1;
        List<Pattern> choices =
        [
            Pattern.Sequence(One(low[0], low[0]), Between(low[1..], new string('9', rest))),
            Pattern.Sequence(One(high[0], high[0]), Between(new string('0', rest), high[1..])),
        ];
        if (high[0] - low[0] > 1) choices.Add(Pattern.Sequence(One((char)(low[0] + 1), (char)(high[0] - 1)), Pattern.Repeat(JsonPatterns.Digit, rest, rest)));
        return Pattern.OneOf(choices);
    }

    // Fractions, with their point, that are at least / at most / within those of some digits; a missing one is zero.
    private static Pattern AtLeast(string digits) => Point(TailAtLeast(digits), mayMiss: IsZero(digits));

    private static Pattern AtMost(string digits) => Point(TailAtMost(digits), mayMiss: true);

    private static Pattern Within(string low, string high)
    {
        int length = Math.Max(low.Length, high.Length);
        return Point(TailWithin(low.PadRight(length, '0'), high.PadRight(length, '0')), mayMiss: IsZero(low));
    }

    private static Pattern Point(Pattern tail, bool mayMiss)
    {
        Pattern fraction = Pattern.Sequence(Pattern.Text("."), tail);
        return mayMiss ? Pattern.Optional(fraction) : fraction;
    }

    // One or more digits that, read behind a point, are at least those given.
    private static Pattern TailAtLeast(string digits)
    {
        if (IsZero(digits)) return Pattern.Repeat(JsonPatterns.Digit, 1, MaxDigits);
        List<Pattern> choices = [Pattern.Sequence(One(digits[0], digits[0]), IsZero(digits[1..]) ? AnyTail() : TailAtLeast(digits[1..]))];
        if (digits[0] < '9') choices.Add(Pattern.Sequence(One((char)(digits[0] + 1), '9'), AnyTail()));
        return Pattern.OneOf(choices);
    }

    private static Pattern TailAtMost(string digits)
    {
        if (IsZero(digits)) return Pattern.Repeat(Pattern.Text("0"), 1, MaxDigits);
        List<Pattern> choices = [Pattern.Sequence(One(digits[0], digits[0]), Pattern.Optional(TailAtMost(digits[1..])))];
        if (digits[0] > '0') choices.Add(Pattern.Sequence(One('0', (char)(digits[0] - 1)), AnyTail()));
        return Pattern.OneOf(choices);
    }

    private static Pattern TailWithin(string low, string high)
    {
        if (low.Length == 0) return Pattern.Repeat(Pattern.Text("0"), 1, MaxDigits);
        if (low[0] == high[0])
        {
            Pattern tail = TailWithin(low[1..], high[1..]);
            return Pattern.Sequence(One(low[0], low[0]), IsZero(low[1..]) ? Pattern.Optional(tail) : tail);
        }

        List<Pattern> choices =
        [
            Pattern.Sequence(One(low[0], low[0]), IsZero(low[1..]) ? AnyTail() : TailAtLeast(low[1..])),
            Pattern.Sequence(One(high[0], high[0]), Pattern.Optional(TailAtMost(high[1..]))),
        ];
        if (high[0] - low[0] > 1) choices.Add(Pattern.Sequence(One((char)(low[0] + 1), (char)(high[0] - 1)), AnyTail()));
        return Pattern.OneOf(choices);
    }

    private static Pattern AnyTail() => Pattern.Repeat(JsonPatterns.Digit, 0, MaxDigits);

    private static Pattern One(char low, char high) => Pattern.Byte((byte)low, (byte)high);

    private static bool IsZero(string digits) => digits.All(digit => digit == '0');

    private static string Digits(decimal whole) => whole.ToString("0", CultureInfo.InvariantCulture);

    private static string Fraction(decimal value) => value.ToString("0.############################", CultureInfo.InvariantCulture) is var text && text.IndexOf('.', StringComparison.Ordinal) is >= 0 and var point ? text[(point + 1)..] : "";
}
