using System.Globalization;
using GemmaCore.Inputs;

namespace GemmaCore.Generation.Constraints;

/// <summary>
/// Reads a regular expression of the kind that a finite automaton can decide: literals, <c>.</c> (anything but a line feed), classes, <c>\d \w \s</c> and their
/// complements (ASCII, as in ECMAScript), <c>| ( ) (?: ) ? * + {m,n}</c>, lazy marks (which change nothing here), and anchors at the ends. References, look-around, flags,
/// word boundaries and Unicode categories are refused by name.
/// </summary>
internal sealed class RegexReader
{
    /// <summary>Most characters of an expression.</summary>
    public const int MaxLength = 4096;

    private const int MaxNesting = 64, MaxRepeat = 1000;

    private readonly string _text;
    private readonly Func<CodePoints, Pattern> _encode;
    private int _at, _nesting;

    private RegexReader(string text, Func<CodePoints, Pattern> encode) => (_text, _encode) = (text, encode);

    /// <summary>Texts that match as a whole.</summary>
    /// <exception cref="InputException">It is malformed, uses what is not supported, or is too long.</exception>
    public static Pattern Read(string expression) => Read(expression, anchored: true, static set => set.Utf8());

    /// <summary>Texts that match as a whole, or those that hold a match unless <c>^</c> and <c>$</c> say otherwise.</summary>
    /// <param name="expression">The expression.</param>
    /// <param name="anchored">True when the whole text has to match.</param>
    /// <param name="encode">How one character of a set is written.</param>
    public static Pattern Read(string expression, bool anchored, Func<CodePoints, Pattern> encode)
    {
        if (expression.Length > MaxLength) throw new InputException($"the regular expression has {expression.Length} characters; at most {MaxLength} are taken");
        var reader = new RegexReader(expression, encode);
        Pattern any = Pattern.Repeat(encode(CodePoints.All), 0, null);
        var choices = new List<Pattern>();
        do
        {
            // An anchor belongs to its alternative.
            bool start = reader.Take('^'), end = false;
            Pattern body = reader.Sequence(isOutermost: true, ref end);
            choices.Add(anchored ? body : Pattern.Sequence([.. start ? (Pattern[])[] : [any], body, .. end ? (Pattern[])[] : [any]]));
        }
        while (reader.Take('|'));
        return reader._at == expression.Length ? Pattern.OneOf(choices) : throw reader.Wrong("an unmatched )");
    }

    private Pattern Alternatives()
    {
        if (++_nesting > MaxNesting) throw Wrong($"more than {MaxNesting} groups inside each other");
        var choices = new List<Pattern>();
        bool end = false;
        do choices.Add(Sequence(isOutermost: false, ref end));
        while (Take('|'));
        _nesting--;
        return Pattern.OneOf(choices);
    }

    private Pattern Sequence(bool isOutermost, ref bool end)
    {
        var parts = new List<Pattern>();
        while (_at < _text.Length && _text[_at] is not ('|' or ')'))
        {
            if (isOutermost && _text[_at] == '$' && (_at + 1 == _text.Length || _text[_at + 1] == '|'))
            {
                (end, _at) = (true, _at + 1);
                break;
            }

            parts.Add(Quantified(Atom()));
        }

        return Pattern.Sequence(parts);
    }

    private Pattern Quantified(Pattern atom)
    {
        int least, most;
        if (Take('*')) (least, most) = (0, -1);
        else if (Take('+')) (least, most) = (1, -1);
        else if (Take('?')) (least, most) = (0, 1);
        else if (!TryTakeCounts(out least, out most)) return atom;
        if (least > MaxRepeat || most > MaxRepeat) throw Wrong($"a repetition of more than {MaxRepeat}");
        if (most >= 0 && most < least) throw Wrong($"a repetition {{{least},{most}}} that ends before it begins");
        Take('?'); // lazy: the same texts
        if (_at < _text.Length && (_text[_at] is '*' or '+' or '?' || IsCount(_at))) throw Wrong("a repetition of a repetition");
        return Pattern.Repeat(atom, least, most < 0 ? null : most);
    }

    private bool IsCount(int at)
    {
        int keep = _at;
        _at = at;
        bool found = TryTakeCounts(out _, out _);
        _at = keep;
        return found;
    }

    // {m}, {m,} and {m,n}; any other brace is a brace.
    private bool TryTakeCounts(out int least, out int most)
    {
        (least, most) = (0, -1);
        int close = _at < _text.Length && _text[_at] == '{' ? _text.IndexOf('}', _at) : -1;
        if (close < 0) return false;
        string inside = _text[(_at + 1)..close];
        string[] numbers = inside.Split(',');
        if (numbers.Length > 2 || !Number(numbers[0], out least)) return false;
        if (numbers.Length == 1) most = least;
        else if (numbers[1].Length > 0 && !Number(numbers[1], out most)) return false;
        _at = close + 1;
        return true;

        static bool Number(string text, out int value)
        {
            value = MaxRepeat + 1; // what has too many digits is too large
            return text.Length > 0 && text.All(char.IsAsciiDigit) && (text.Length > 6 || int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value));
        }
    }

    private Pattern Atom()
    {
        char first = _text[_at];
        switch (first)
        {
            case '(':
                return Group();
            case '[':
                return _encode(RegexClass.Read(_text, ref _at, Wrong));
            case '.':
                _at++;
                return _encode(CodePoints.Single('\n').Complement());
            case '\\':
                return _encode(RegexClass.Escape(_text, ref _at, Wrong));
            case '*' or '+' or '?':
                throw Wrong($"'{first}' with nothing before it to repeat");
            case '^' or '$':
                throw Wrong($"'{first}' in the middle; anchors are taken at the ends only");
            default:
                if (!System.Text.Rune.TryGetRuneAt(_text, _at, out System.Text.Rune rune)) throw Wrong("half of a surrogate pair");
                _at += rune.Utf16SequenceLength;
                return _encode(CodePoints.Single(rune.Value));
        }
    }

    private Pattern Group()
    {
        _at++;
        if (Take('?') && !Take(':')) throw Wrong("a group that begins with (?; only (?: is taken, not look-around, names or flags");
        Pattern inside = Alternatives();
        return Take(')') ? inside : throw Wrong("a group that is not closed");
    }

    private bool Take(char expected)
    {
        if (_at >= _text.Length || _text[_at] != expected) return false;
        _at++;
        return true;
    }

    private InputException Wrong(string what) => new($"the regular expression has {what}, at character {_at + 1}");
}
