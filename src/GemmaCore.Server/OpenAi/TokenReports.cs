using System.Globalization;
using System.Text;
using GemmaCore.Generation;
using GemmaCore.Inputs;

namespace GemmaCore.Server.OpenAi;

/// <summary>Tokens and their log-probabilities in OpenAI's forms.</summary>
internal static class TokenReports
{
    /// <summary>One token of a chat answer.</summary>
    public static TokenReport Of(GeneratedToken token, Tokenizer tokenizer)
    {
        (string text, int[] bytes) = Spell(token.Id, tokenizer);
        return new TokenReport(text, Finite(token.Logprob), bytes, [.. token.Top.Select(top =>
        {
            (string topText, int[] topBytes) = Spell(top.Id, tokenizer);
            return new TopReport(topText, Finite(top.Logprob), topBytes);
        })]);
    }

    /// <summary>All tokens of a completion, with the character where each begins.</summary>
    public static TextLogprobs Of(IEnumerable<GeneratedToken> tokens, Tokenizer tokenizer, int offset)
    {
        List<string> texts = [];
        List<float> logprobs = [];
        List<IReadOnlyDictionary<string, float>> tops = [];
        List<int> offsets = [];
        foreach (GeneratedToken token in tokens)
        {
            texts.Add(Spell(token.Id, tokenizer).Text);
            logprobs.Add(Finite(token.Logprob));
            var top = new Dictionary<string, float>(StringComparer.Ordinal);
            foreach (TokenLogprob other in token.Top) top.TryAdd(Spell(other.Id, tokenizer).Text, Finite(other.Logprob));
            tops.Add(top);
            offsets.Add(offset);
            offset += texts[^1].Length;
        }

        return new TextLogprobs(texts, logprobs, tops, offsets);
    }

    /// <summary>True for the token that ended an answer and is no part of its text.</summary>
    public static bool IsEnd(GeneratedToken token, SamplingParams parameters, GenerationDefaults defaults) =>
        parameters.StopTokenIds.Contains(token.Id) || (!parameters.IgnoreEos && defaults.StopIds.Contains(token.Id));

    // A byte token has no text of its own: it is spelled as the vocabulary has it, and its byte is given.
    private static (string Text, int[] Bytes) Spell(int id, Tokenizer tokenizer)
    {
        if (id >= tokenizer.VocabularySize) return ("", []); // a row of the head that stands for no token
        string piece = tokenizer.TokenOf(id);
        if (piece is ['<', '0', 'x', _, _, '>'] && byte.TryParse(piece.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte value)) return (piece, [value]);
        string text = piece.Replace('\u2581', ' ');
        return (text, [.. Encoding.UTF8.GetBytes(text)]);
    }

    // JSON has no infinity; OpenAI's API says −9999 for what is out of all proportion.
    private static float Finite(float logprob) => float.IsFinite(logprob) ? logprob : -9999;
}
