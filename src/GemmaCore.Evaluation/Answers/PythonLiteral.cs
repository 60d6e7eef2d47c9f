using System.Text;

namespace GemmaCore.Evaluation;

/// <summary>
/// Reads what Python's <c>ast.literal_eval</c> reads: numbers, strings in single or double quotes, lists, tuples, sets, dictionaries, None, True, False.
/// The challenge's scorer passes boxes through it, so JSON's <c>null</c> and <c>true</c> are errors there (flare.md §7.1).
/// Values are <see cref="double"/>, <see cref="string"/>, <see cref="bool"/>, null, lists, arrays for tuples and sets, or lists of key and value pairs.
/// </summary>
public sealed class PythonLiteral
{
    private const int MaxDepth = 90; // of Python's parser: "too many nested parentheses" comes at a hundred

    private readonly string _text;
    private int _at;

    private PythonLiteral(string text) => _text = text;

    /// <summary>The value of a literal.</summary>
    /// <returns>False where Python raises.</returns>
    public static bool TryParse(string text, out object? value)
    {
        ArgumentNullException.ThrowIfNull(text);
        // Blanks before the first character are stripped by literal_eval; line ends inside brackets are blanks as well.
        var reader = new PythonLiteral(text.Trim());
        if (reader.Read(0, out value))
        {
            reader.SkipBlanks();
            if (reader._at == reader._text.Length) return true;
        }

        value = null;
        return false;
    }

    private bool Read(int depth, out object? value)
    {
        value = null;
        SkipBlanks();
        if (_at == _text.Length || depth > MaxDepth) return false;
        switch (_text[_at])
        {
            case '[': return ReadItems(']', depth, out value, out _);
            case '(':
                if (!ReadItems(')', depth, out value, out bool comma)) return false;
                // One value in parentheses without a comma is that value.
                var items = (List<object?>)value!;
                value = items.Count == 1 && !comma ? items[0] : items.ToArray();
                return true;
            case '{': return ReadBraces(depth, out value);
            case '\'' or '"':
                if (!ReadString(out value)) return false;
                // Strings beside each other are one string.
                for (SkipBlanks(); _at < _text.Length && (_text[_at] is '\'' or '"'); SkipBlanks())
                {
                    if (!ReadString(out object? more)) return false;
                    value = (string)value! + (string)more!;
                }

                return true;
            default: return ReadWord(depth, out value);
        }
    }

    private bool ReadItems(char end, int depth, out object? value, out bool comma)
    {
        var items = new List<object?>();
        value = items;
        comma = false;
        _at++;
        while (true)
        {
            SkipBlanks();
            if (_at == _text.Length) return false;
            if (_text[_at] == end)
            {
                _at++;
                return true;
            }

            if ((items.Count > 0 && !comma) || !Read(depth + 1, out object? item)) return false;
            items.Add(item);
            comma = Take(',');
        }
    }

    private bool ReadBraces(int depth, out object? value)
    {
        var pairs = new List<KeyValuePair<object?, object?>>();
        var items = new List<object?>();
        value = pairs;
        bool comma = true;
        _at++;
        while (true)
        {
            SkipBlanks();
            if (_at == _text.Length) return false;
            if (_text[_at] == '}')
            {
                _at++;
                if (items.Count > 0) value = items.ToArray();
                return items.Count == 0 || pairs.Count == 0;
            }

            if (!comma || !Read(depth + 1, out object? key)) return false;
            // Lists and dictionaries cannot be keys or members of a set.
            if (key is List<object?> or List<KeyValuePair<object?, object?>>) return false;
            if (Take(':'))
            {
                if (!Read(depth + 1, out object? entry)) return false;
                pairs.Add(new(key, entry));
            }
            else
            {
                items.Add(key);
            }

            comma = Take(',');
        }
    }

    private bool ReadString(out object? value)
    {
        char quote = _text[_at++];
        var text = new StringBuilder();
        value = null;
        while (_at < _text.Length && _text[_at] != quote)
        {
            char c = _text[_at++];
            if (c == '\n') return false;
            if (c == '\\')
            {
                if (_at == _text.Length) return false;
                c = _text[_at++];
                if (c is not ('\\' or '\'' or '"'))
                {
                    if (c is 'n' or 't' or 'r') c = c == 'n' ? '\n' : c == 't' ? '\t' : '\r';
                    else text.Append('\\');
                }
            }

            text.Append(c);
        }

        value = text.ToString();
        return _at++ < _text.Length;
    }

    private bool ReadWord(int depth, out object? value)
    {
        value = null;
        if (_text[_at] is '+' or '-')
        {
            bool negative = _text[_at++] == '-';
            // One sign belongs to a number; two are an expression, which literal_eval refuses.
            SkipBlanks();
            bool ok = _at < _text.Length && _text[_at] is not ('+' or '-') && Read(depth + 1, out value) && value is double;
            if (ok && negative) value = -(double)value!;
            return ok;
        }

        int start = _at;
        while (_at < _text.Length && (char.IsAsciiLetterOrDigit(_text[_at]) || _text[_at] is '.' or '_' || IsExponentSign(start))) _at++;
        string word = _text[start.._at];
        value = word switch { "True" => true, "False" => false, _ => null };
        if (word is "True" or "False" or "None") return true;
        // Names such as inf and nan are no literals; 007 is refused by Python as well.
        if (word.Length == 0 || !(char.IsAsciiDigit(word[0]) || word[0] == '.') || (word.Length > 1 && word[0] == '0' && word.All(char.IsAsciiDigit) && word.Any(c => c != '0')))
            return false;
        bool number = PythonFloat.TryParse(word, out double parsed);
        value = parsed;
        return number;
    }

    private bool IsExponentSign(int start) => _text[_at] is '+' or '-' && _at > start && _text[_at - 1] is 'e' or 'E';

    private bool Take(char c)
    {
        SkipBlanks();
        if (_at == _text.Length || _text[_at] != c) return false;
        _at++;
        return true;
    }

    private void SkipBlanks()
    {
        while (_at < _text.Length && _text[_at] is ' ' or '\t' or '\n' or '\r' or '\f') _at++;
    }
}
