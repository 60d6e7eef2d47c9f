using System.Globalization;
using System.Text;
using GemmaCore.Inputs;

namespace GemmaCore.Generation.Constraints;

/// <summary>The parts of a regular expression that stand for one character: classes and escapes.</summary>
internal static class RegexClass
{
    /// <summary>A class in brackets; <paramref name="at"/> moves behind it.</summary>
    public static CodePoints Read(string text, ref int at, Func<string, InputException> wrong)
    {
        at++;
        bool negated = at < text.Length && text[at] == '^';
        if (negated) at++;
        CodePoints set = CodePoints.Of();
        for (bool first = true; ; first = false)
        {
            if (at >= text.Length) throw wrong("a class that is not closed");
            if (text[at] == ']')
            {
                if (first) throw wrong("an empty class");
                at++;
                return negated ? set.Complement() : set;
            }

            if (text[at] == '[' && at + 1 < text.Length && text[at + 1] is (':' or '.' or '=')) throw wrong("a POSIX class; write the characters out");
            CodePoints low = Item(text, ref at, wrong);
            if (at + 1 < text.Length && text[at] == '-' && text[at + 1] != ']')
            {
                at++;
                if (text[at] == '[') throw wrong("a class inside a class");
                CodePoints high = Item(text, ref at, wrong);
                set = set.Union(Range(low, high, wrong));
            }
            else
            {
                set = set.Union(low);
            }
        }
    }

    /// <summary>What a backslash and the characters behind it stand for.</summary>
    public static CodePoints Escape(string text, ref int at, Func<string, InputException> wrong)
    {
        if (++at >= text.Length) throw wrong("a backslash at its end");
        char name = text[at++];
        switch (name)
        {
            case 'd': return CodePoints.Digits;
            case 'D': return CodePoints.Digits.Complement();
            case 'w': return CodePoints.WordCharacters;
            case 'W': return CodePoints.WordCharacters.Complement();
            case 's': return CodePoints.Blanks;
            case 'S': return CodePoints.Blanks.Complement();
            case 'n': return CodePoints.Single('\n');
            case 'r': return CodePoints.Single('\r');
            case 't': return CodePoints.Single('\t');
            case 'f': return CodePoints.Single('\f');
            case 'v': return CodePoints.Single('\v');
            case 'x': return Hexadecimal(text, ref at, 2, wrong);
            case 'u': return Hexadecimal(text, ref at, 4, wrong);
            case 'b' or 'B': throw wrong("a word boundary, which is not supported");
            case 'p' or 'P': throw wrong("a Unicode category, which is not supported");
            case >= '0' and <= '9': throw wrong("a reference to a group (or an octal escape), which is not supported");
            default:
                return char.IsAscii(name) && !char.IsAsciiLetterOrDigit(name) ? CodePoints.Single(name) : throw wrong($"an escape \\{name} that nobody knows");
        }
    }

    private static CodePoints Item(string text, ref int at, Func<string, InputException> wrong)
    {
        if (text[at] == '\\') return Escape(text, ref at, wrong);
        if (!Rune.TryGetRuneAt(text, at, out Rune rune)) throw wrong("half of a surrogate pair");
        at += rune.Utf16SequenceLength;
        return CodePoints.Single(rune.Value);
    }

    private static CodePoints Range(CodePoints low, CodePoints high, Func<string, InputException> wrong)
    {
        if (low.Ranges is not [(int from, int fromEnd)] || high.Ranges is not [(int to, int toEnd)] || from != fromEnd || to != toEnd) throw wrong("a range with a class as its end");
        return from <= to ? CodePoints.Of((from, to)) : throw wrong("a range whose end is before its beginning");
    }

    private static CodePoints Hexadecimal(string text, ref int at, int digits, Func<string, InputException> wrong)
    {
        if (at + digits > text.Length || !int.TryParse(text.AsSpan(at, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int value))
            throw wrong($"an escape that needs {digits} hexadecimal digits");
        at += digits;
        return value is >= 0xD800 and <= 0xDFFF ? throw wrong("half of a surrogate pair") : CodePoints.Single(value);
    }
}
