using System.Text;

namespace GemmaCore.Generation.Constraints.Json;

/// <summary>
/// JSON's own forms (RFC 8259), narrowed where a model could go astray: between tokens stands nothing, one space, or a line break with up to 16 spaces; integers have up to
/// 18 digits, other numbers up to 18 before and after the point; no string holds half of a surrogate pair.
/// </summary>
internal static class JsonPatterns
{
    /// <summary>Digits of a whole number, and of a fraction.</summary>
    public const int MaxDigits = 18;

    private static readonly CodePoints Escaped = CodePoints.Of((0, 0x1F), ('"', '"'), ('\\', '\\'));

    private static readonly (char Letter, char Value)[] ShortEscapes = [('"', '"'), ('\\', '\\'), ('b', '\b'), ('f', '\f'), ('n', '\n'), ('r', '\r'), ('t', '\t')];

    /// <summary>Space between tokens.</summary>
    public static Pattern Space { get; } =
        Pattern.Optional(Pattern.OneOf(Pattern.Text(" "), Pattern.Sequence(Pattern.Text("\n"), Pattern.Repeat(Pattern.Text(" "), 0, 16))));

    /// <summary>One decimal digit.</summary>
    public static Pattern Digit { get; } = Pattern.Byte((byte)'0', (byte)'9');

    /// <summary>A character of a string, escaped or not.</summary>
    public static Pattern Character { get; } = AnyCharacter();

    /// <summary>The same as a rule: where characters are counted, each place then takes one instruction.</summary>
    public static Pattern CountedCharacter { get; } = new RulePattern("a character") { Body = Character };

    /// <summary>Any string.</summary>
    public static Pattern String { get; } = Quoted(Pattern.Repeat(Character, 0, null));

    /// <summary>Any whole number.</summary>
    public static Pattern Integer { get; } = Pattern.Sequence(Pattern.Optional(Pattern.Text("-")), Whole());

    /// <summary>Any number.</summary>
    public static Pattern Number { get; } = Pattern.Sequence(
        Integer,
        Pattern.Optional(Pattern.Sequence(Pattern.Text("."), Pattern.Repeat(Digit, 1, MaxDigits))),
        Pattern.Optional(Pattern.Sequence(
            Pattern.OneOf(Pattern.Text("e"), Pattern.Text("E")), Pattern.Optional(Pattern.OneOf(Pattern.Text("+"), Pattern.Text("-"))), Pattern.Repeat(Digit, 1, 2))));

    /// <summary>True or false.</summary>
    public static Pattern Boolean { get; } = Pattern.OneOf(Pattern.Text("true"), Pattern.Text("false"));

    /// <summary>Null.</summary>
    public static Pattern Null { get; } = Pattern.Text("null");

    /// <summary>Any value.</summary>
    public static Pattern AnyValue()
    {
        var value = new RulePattern("a JSON value");
        value.Body = Pattern.OneOf(Object(value), Array(value, 0, null), String, Number, Boolean, Null);
        return value;
    }

    /// <summary>An object of any keys.</summary>
    public static Pattern Object(Pattern value)
    {
        Pattern member = Pattern.Sequence(String, Colon(), value);
        return Braces(Pattern.Optional(Pattern.Sequence(member, Pattern.Repeat(Pattern.Sequence(Comma(), member), 0, null), Space)));
    }

    /// <summary>Members, or none, and the space behind them, in braces.</summary>
    public static Pattern Braces(Pattern members) => Pattern.Sequence(Pattern.Text("{"), Space, members, Pattern.Text("}"));

    /// <summary>An array of some items.</summary>
    public static Pattern Array(Pattern item, int least, int? most)
    {
        Pattern rest = Pattern.Repeat(Pattern.Sequence(Comma(), item), Math.Max(0, least - 1), most - 1);
        Pattern items = Pattern.Sequence(item, rest, Space);
        return Pattern.Sequence(Pattern.Text("["), Space, most == 0 ? Pattern.Empty : least > 0 ? items : Pattern.Optional(items), Pattern.Text("]"));
    }

    public static Pattern Colon() => Pattern.Sequence(Pattern.Text(":"), Space);

    public static Pattern Comma() => Pattern.Sequence(Pattern.Text(","), Space);

    public static Pattern Quoted(Pattern inside) => Pattern.Sequence(Pattern.Text("\""), inside, Pattern.Text("\""));

    /// <summary>A certain string, in quotes.</summary>
    public static Pattern Literal(string text)
    {
        var written = new StringBuilder("\"");
        foreach (Rune rune in text.EnumerateRunes()) Write(rune.Value, written);
        return Pattern.Text(written.Append('"').ToString());
    }

    /// <summary>One character of a set, as it stands in a string: escaped where it must be, and only there.</summary>
    public static Pattern CharacterOf(CodePoints set)
    {
        CodePoints plain = set.Intersect(Escaped.Complement());
        List<Pattern> choices = plain.IsEmpty ? [] : [plain.Utf8()];
        foreach ((int low, int high) in set.Intersect(Escaped).Ranges)
        {
            for (int value = low; value <= high; value++)
            {
                var written = new StringBuilder();
                Write(value, written);
                choices.Add(Pattern.Text(written.ToString()));
            }
        }

        return Pattern.OneOf(choices);
    }

    private static void Write(int value, StringBuilder to)
    {
        if (!Escaped.Contains(value))
        {
            to.Append(new Rune(value));
            return;
        }

        char letter = ShortEscapes.FirstOrDefault(escape => escape.Value == value).Letter;
        if (letter != '\0') to.Append('\\').Append(letter);
        else to.Append(System.Globalization.CultureInfo.InvariantCulture, $"\\u{value:x4}");
    }

    private static Pattern Whole() => Pattern.OneOf(Pattern.Text("0"), Pattern.Sequence(Pattern.Byte((byte)'1', (byte)'9'), Pattern.Repeat(Digit, 0, MaxDigits - 1)));

    private static Pattern AnyCharacter()
    {
        Pattern hex = CodePoints.Of(('0', '9'), ('a', 'f'), ('A', 'F')).Utf8(), notD = CodePoints.Of(('0', '9'), ('a', 'c'), ('e', 'f'), ('A', 'C'), ('E', 'F')).Utf8();
        Pattern unit = Pattern.OneOf(
            Pattern.Sequence(notD, hex, hex, hex), Pattern.Sequence(CodePoints.Of(('d', 'd'), ('D', 'D')).Utf8(), Pattern.Byte((byte)'0', (byte)'7'), hex, hex));
        Pattern escape = Pattern.OneOf([Pattern.Text("/"), .. ShortEscapes.Select(pair => Pattern.Text(pair.Letter.ToString())), Pattern.Sequence(Pattern.Text("u"), unit)]);
        return Pattern.OneOf(Escaped.Complement().Utf8(), Pattern.Sequence(Pattern.Text("\\"), escape));
    }
}
