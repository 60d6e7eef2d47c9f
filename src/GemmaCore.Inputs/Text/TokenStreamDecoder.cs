using System.Text;

namespace GemmaCore.Inputs;

/// <summary>
/// Text of tokens that arrive one by one. Only whole characters come out, and all that comes out together is what
/// <see cref="Tokenizer.Decode"/> gives for the same ids.
/// </summary>
/// <remarks>
/// A run of byte tokens is held back until it ends: the rule of tokenizer.json turns every byte of a run that is not UTF-8 as a whole
/// into U+FFFD, so no character of it is certain before.
/// </remarks>
public sealed class TokenStreamDecoder
{
    private readonly Tokenizer _tokenizer;
    private readonly bool _skipSpecialTokens;
    private readonly List<byte> _bytes = [];
    private bool _atStart = true;

    /// <summary>A decoder at the beginning of a text.</summary>
    public TokenStreamDecoder(Tokenizer tokenizer, bool skipSpecialTokens) => (_tokenizer, _skipSpecialTokens) = (tokenizer, skipSpecialTokens);

    /// <summary>Takes the next token; returns the text that is now certain, often that of this token, sometimes nothing.</summary>
    /// <exception cref="InputException">An id outside the vocabulary.</exception>
    public string Push(int id)
    {
        if (_skipSpecialTokens && _tokenizer.IsSpecial(id)) return "";
        if (_tokenizer.TryGetByte(id, out byte value))
        {
            _bytes.Add(value);
            return "";
        }
        string text = _tokenizer.PlainTextOf(id);
        return Start(_bytes.Count == 0 ? text : TakeBytes() + text);
    }

    /// <summary>The end of the text: what was held back. The decoder then stands at the beginning of a new text.</summary>
    public string Finish()
    {
        string text = Start(_bytes.Count == 0 ? "" : TakeBytes());
        _atStart = true;
        return text;
    }

    private string Start(string text)
    {
        if (!_atStart || text.Length == 0) return text;
        _atStart = false;
        return _tokenizer.StripsLeadingSpace && text[0] == ' ' ? text[1..] : text;
    }

    private string TakeBytes()
    {
        byte[] run = [.. _bytes];
        _bytes.Clear();
        return System.Text.Unicode.Utf8.IsValid(run) ? Encoding.UTF8.GetString(run) : new string('\uFFFD', run.Length);
    }
}
