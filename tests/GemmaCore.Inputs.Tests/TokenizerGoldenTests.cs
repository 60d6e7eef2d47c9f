using System.Text.Json;
using GemmaCore.Testing;

namespace GemmaCore.Inputs.Tests;

public sealed class TokenizerGoldenTests
{
    private const string Tiny = "tokenizer/tiny.json";
    private const string Real = "tokenizer/gemma3.json";
    private const string RealTokenizer = "gemma3-tokenizer/tokenizer.json";

    [Fact]
    public void Model_file_gives_the_golden_ids_and_texts() =>
        Check(Tokenizer.FromModelFile(Goldens.DemoPath("model/tokenizer.model")), Goldens.Path(Tiny), Tiny, "from tokenizer.model");

    [Fact]
    public void Json_file_gives_the_golden_ids_and_texts() =>
        Check(Tokenizer.FromJsonFile(Goldens.DemoPath("model/tokenizer.json")), Goldens.Path(Tiny), Tiny, "from tokenizer.json");

    [Fact]
    public void Real_gemma_tokenizer_gives_the_golden_ids_and_texts()
    {
        Assert.SkipUnless(Goldens.Exists(Goldens.SharedPath(RealTokenizer)), "the real Gemma 3 tokenizer is not beside the clone");
        Check(Tokenizer.FromJsonFile(Goldens.SharedPath(RealTokenizer)), Goldens.SharedPath(Real), Real, "from tokenizer.json");
    }

    [Fact]
    public void Both_files_of_the_embedded_model_say_the_same()
    {
        Tokenizer model = Tokenizer.FromModelFile(Goldens.DemoPath("model/tokenizer.model"));
        Tokenizer json = Tokenizer.FromJsonFile(Goldens.DemoPath("model/tokenizer.json"));

        Assert.Equal(json.VocabularySize, model.VocabularySize);
        Assert.Equal((json.BosId, json.EosId, json.PadId), (model.BosId, model.EosId, model.PadId));
        for (int id = 0; id < json.VocabularySize; id++)
        {
            Assert.Equal(json.TokenOf(id), model.TokenOf(id));
            Assert.Equal(json.IsSpecial(id), model.IsSpecial(id));
        }
    }

    private static void Check(Tokenizer tokenizer, string goldenPath, string file, string source)
    {
        using var golden = JsonDocument.Parse(File.ReadAllBytes(goldenPath));
        int cases = 0, casesWithBos = 0;
        List<string> wrong = [];
        foreach (JsonElement row in golden.RootElement.EnumerateArray())
        {
            string text = row.GetProperty("text").GetString()!;
            int[] ids = Ids(row.GetProperty("ids"));
            bool equal = tokenizer.Encode(text, addBos: false).SequenceEqual(ids)
                && tokenizer.Decode(ids, skipSpecialTokens: false) == row.GetProperty("decoded").GetString();
            cases++;
            if (row.TryGetProperty("with_bos", out JsonElement withBos))
            {
                equal &= tokenizer.Encode(text, addBos: true).SequenceEqual(Ids(withBos))
                    && tokenizer.Decode(ids, skipSpecialTokens: true) == row.GetProperty("decoded_skip_special").GetString();
                casesWithBos++;
            }

            if (!equal) wrong.Add(text);
        }

        Parity.ReportExact("tokenizer", file, "ids and texts " + source, cases - wrong.Count, cases);
        Assert.Empty(wrong);
        Assert.Equal((252, 52), (cases, casesWithBos));
    }

    private static int[] Ids(JsonElement list) => [.. list.EnumerateArray().Select(id => id.GetInt32())];
}
