using System.Text;
using CsCheck;
using GemmaCore.Testing;

namespace GemmaCore.Inputs.Tests;

public sealed class TokenizerTests
{
    private static readonly Tokenizer Embedded = Tokenizer.Load(Goldens.DemoPath("model"));
    private static readonly Gen<string> Text = Gen.Char.Array[0, 60].Select(characters => Clean(new string(characters)));
    private static readonly Gen<string> Periodic =
        Gen.Char["ab =-xo\n\t\u2581é日<>"].Array[0, 40].Select(characters => new string(characters)).Select(Gen.Int[1, 6], (piece, times) => string.Concat(Enumerable.Repeat(piece, times)));

    // A LLaMA-style tokenizer: a space in front of every segment, byte tokens for what the vocabulary lacks.
    private const string Llama = """
        {"added_tokens": [{"id": 0, "content": "<unk>", "special": true}, {"id": 1, "content": "<s>", "special": true}, {"id": 2, "content": "</s>", "special": true}],
         "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
         "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
                     {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
         "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
                   "vocab": {"<unk>": 0, "<s>": 1, "</s>": 2, "<0x0A>": 3, "▁": 4, "H": 5, "i": 6, "▁H": 7, "▁Hi": 8, "Hi": 9}, "merges": ["▁ H", "▁H i", "H i"]}}
        """;

    [Fact]
    public void Decoding_undoes_encoding()
    {
        Text.Sample(text => Embedded.Decode(Embedded.Encode(text, addBos: false), skipSpecialTokens: false) == text);
        Periodic.Sample(text => Embedded.Decode(Embedded.Encode(text, addBos: false), skipSpecialTokens: false) == Clean(text).Replace('\u2581', ' '));
    }

    [Fact]
    public void Merging_follows_the_definition_on_repetitive_text() =>
        Periodic.Sample(text => text.Contains('<', StringComparison.Ordinal) || Embedded.Encode(text, addBos: false).SequenceEqual(PlainBytePairs.Encode(text)));

    [Fact]
    public void A_stream_of_tokens_gives_the_text_of_all_of_them() =>
        Gen.Int[0, Embedded.VocabularySize - 1].Array[0, 40].Select(Gen.Bool).Sample((ids, skip) =>
        {
            var decoder = new TokenStreamDecoder(Embedded, skip);
            string[] parts = [.. ids.Select(decoder.Push), decoder.Finish()];
            return string.Concat(parts) == Embedded.Decode(ids, skip) && parts.All(part => part.Length == 0 || !char.IsHighSurrogate(part[^1]));
        });

    [Fact]
    public void A_run_of_bytes_that_is_not_utf8_becomes_one_replacement_character_each()
    {
        int[] ids = [.. "<0xE2><0x82><0xAC><0xFF>".Chunk(6).Select(token => Embedded.IdOf(new string(token)))];

        Assert.Equal("€", Embedded.Decode(ids.AsSpan(0, 3), skipSpecialTokens: false));
        Assert.Equal("\uFFFD\uFFFD\uFFFD\uFFFD", Embedded.Decode(ids, skipSpecialTokens: false));
    }

    [Theory]
    [InlineData("the quick brown fox ")]
    [InlineData("a")]
    [InlineData(" ")]
    [InlineData("<unused")]
    [InlineData("日本")]
    public void A_megabyte_is_encoded_and_decoded(string piece)
    {
        string text = string.Concat(Enumerable.Repeat(piece, 1_000_000 / piece.Length));

        Assert.Equal(text, Embedded.Decode(Embedded.Encode(text, addBos: false), skipSpecialTokens: false));
    }

    [Fact]
    public void A_lone_surrogate_is_encoded_as_the_replacement_character() =>
        Assert.Equal(Embedded.Encode("a\uFFFDb", addBos: true), Embedded.Encode("a\uD800b", addBos: true));

    [Fact]
    public void Llama_tokenizers_put_a_space_in_front_and_take_it_off_again()
    {
        Tokenizer llama = Tokenizer.FromJson(Encoding.UTF8.GetBytes(Llama), "llama");

        Assert.Equal([1, 8], llama.Encode("Hi", addBos: true));
        Assert.Equal([8, 2, 8, 7], llama.Encode("Hi</s>Hi H", addBos: false));
        Assert.Equal([9], llama.EncodeContinuation("Hi"));
        Assert.Equal([4, 3, 9], llama.Encode("\nHi", addBos: false));
        Assert.Equal([4, 0], llama.Encode("zz", addBos: false));
        Assert.Equal("Hi", llama.Decode([1, 8], skipSpecialTokens: true));
        Assert.Equal((1, 2, -1), (llama.BosId, llama.EosId, llama.PadId));
    }

    // Texts that mean themselves: no surrogates on their own, no U+2581 (it means a space), no token written out.
    private static string Clean(string text) => string.Concat(text.EnumerateRunes().Where(rune => rune.Value != 0xFFFD));

    /// <summary>Byte-pair encoding as it is defined, one search over all pairs per merge, on the embedded tokenizer.json.</summary>
    private static class PlainBytePairs
    {
        private static readonly Dictionary<string, int> Ids = [];
        private static readonly Dictionary<(string, string), int> Ranks = [];
        private static readonly List<string> Added = [];

        static PlainBytePairs()
        {
            using var file = System.Text.Json.JsonDocument.Parse(File.ReadAllBytes(Goldens.DemoPath("model/tokenizer.json")));
            var model = file.RootElement.GetProperty("model");
            foreach (var piece in model.GetProperty("vocab").EnumerateObject()) Ids[piece.Name] = piece.Value.GetInt32();
            foreach (var merge in model.GetProperty("merges").EnumerateArray()) Ranks.TryAdd((merge[0].GetString()!, merge[1].GetString()!), Ranks.Count);
            Added.AddRange(file.RootElement.GetProperty("added_tokens").EnumerateArray().Select(token => token.GetProperty("content").GetString()!));
        }

        public static List<int> Encode(string text)
        {
            List<int> ids = [];
            int from = 0;
            for (int at = 0; at < text.Length;)
            {
                string? token = Added.Where(candidate => string.CompareOrdinal(text, at, candidate, 0, candidate.Length) == 0).MaxBy(candidate => candidate.Length);
                if (token is null)
                {
                    at++;
                    continue;
                }
                ids.AddRange(Segment(text[from..at]));
                ids.Add(Ids.GetValueOrDefault(token, 4032));
                from = at += token.Length;
            }
            return [.. ids, .. Segment(text[from..])];
        }

        private static IEnumerable<int> Segment(string text)
        {
            List<string> symbols = [];
            foreach (Rune rune in text.Replace(' ', '\u2581').EnumerateRunes())
            {
                if (Ids.ContainsKey(rune.ToString())) symbols.Add(rune.ToString());
                else symbols.AddRange(Encoding.UTF8.GetBytes(rune.ToString()).Select(value => $"<0x{value:X2}>"));
            }
            while (true)
            {
                int best = -1, bestRank = int.MaxValue;
                for (int i = 0; i + 1 < symbols.Count; i++)
                    if (Ranks.TryGetValue((symbols[i], symbols[i + 1]), out int rank) && rank < bestRank) (best, bestRank) = (i, rank);
                if (best < 0) return symbols.Select(symbol => Ids[symbol]);
                symbols[best] += symbols[best + 1];
                symbols.RemoveAt(best + 1);
            }
        }
    }
}
