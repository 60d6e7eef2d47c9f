using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Models.Tests;

public sealed class LogitsGoldenTests
{
    // The manifest's tolerance for this topic, relative to the tensor's largest magnitude.
    private const double Allowed = 1e-4;
    private const string Topic = "logits";

    public static TheoryData<string, string[]> Cases => new()
    {
        { "text_short", [] },
        { "text_long", [] },
        { "one_image_phantom_brain", ["validation-public/MRI/phantom_brain/imagesVal/phantom_brain_0000.jpg"] },
        { "one_image_phantom_colon", ["validation-public/Endoscopy/phantom_colon/imagesVal/phantom_colon_0000.jpg"] },
        {
            "two_images_interleaved",
            ["validation-public/Xray/phantom_chest/imagesVal/phantom_chest_0000.jpg", "validation-public/Dermatology/phantom_skin/imagesVal/phantom_skin_0000.jpg"]
        },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Hidden_states_and_logits_equal_those_of_transformers(string name, string[] images)
    {
        Dictionary<string, GoldenTensor> golden = GoldenTensors.Load(Goldens.Path($"model/{name}.safetensors"));
        using var embedded = new EmbeddedModel();

        (float[] hidden, float[] logits) = embedded.Run([Ids(golden["input_ids"])], images);

        Check(Topic, $"model/{name}.safetensors", "after the last norm", hidden, golden["hidden.final_norm"].Floats);
        Check(Topic, $"model/{name}.safetensors", "logits", logits, golden["logits"].Floats);
    }

    // Cards round the inputs of matrix products to 16 bits, which the manifest allows as far as transformers itself moves when it computes in that type;
    // cards without tensor cores compute in fp32 and are held to the fp32 bar.
    public static IEnumerable<(string Device, (string Name, string[] Images) Case)> CardCases =>
        TestDevices.Spread(Cases.Select(row => (row.Data.Item1, row.Data.Item2))).Where(row => row.Device != "cpu");

    [Theory]
    [MemberData(nameof(CardCases))]
    public void Logits_on_a_card_stay_within_the_floor_of_its_precision(string device, (string Name, string[] Images) item)
    {
        Dictionary<string, GoldenTensor> golden = GoldenTensors.Load(Goldens.Path($"model/{item.Name}.safetensors"));
        using var embedded = new EmbeddedModel(device: device);
        float[] expected = golden["logits"].Floats;

        (_, float[] logits) = embedded.Run([Ids(golden["input_ids"])], item.Images);

        var floor = PrecisionFloor.Of(embedded.Device, item.Name);
        string file = $"model/{item.Name}.safetensors", path = embedded.Device.PrecisionPath;
        Assert.InRange(Parity.Report(Topic, file, $"logits on a simulated card, {path} (absolute)", Distance.Largest(logits, expected), floor.Largest), 0, floor.Largest);
        Assert.InRange(Parity.Report(Topic, file, $"logits on a simulated card, {path} (rms)", Distance.RootMeanSquare(logits, expected), floor.RootMeanSquare), 0, floor.RootMeanSquare);
    }

    [Fact]
    public void Projected_image_features_equal_those_of_transformers()
    {
        Dictionary<string, GoldenTensor> golden = GoldenTensors.Load(Goldens.Path("model/two_images_interleaved.safetensors"));
        using var embedded = new EmbeddedModel();
        string[] images = (string[])[.. Cases.Last().Data.Item2];
        TensorView features = ImageEncoding.Encode(embedded.Model, [.. images.Select(EmbeddedModel.Pixels)], embedded.Arena);
        Check(Topic, "model/two_images_interleaved.safetensors", "projected image features", features.ToFloats(), golden["projector"].Floats);
    }

    // Our batches are packed, so the pads of the golden rows are left out; the real tokens must come out the same.
    [Theory]
    [InlineData("batch_right_padded")]
    [InlineData("batch_left_padded")]
    public void A_packed_batch_equals_the_padded_one(string name)
    {
        Dictionary<string, GoldenTensor> golden = GoldenTensors.Load(Goldens.Path($"model/{name}.safetensors"));
        int[] ids = Ids(golden["input_ids"]), mask = Ids(golden["attention_mask"]);
        int length = ids.Length / 2;
        int[][] rows = [.. Enumerable.Range(0, 2).Select(row =>
            Enumerable.Range(row * length, length).Where(i => mask[i] == 1).Select(i => ids[i]).ToArray())];
        string[] images =
        [
            "validation-public/MRI/phantom_brain/imagesVal/phantom_brain_0001.jpg", "validation-public/CT/phantom_liver/imagesVal/phantom_liver_0001.jpg",
        ];
        using var embedded = new EmbeddedModel();

        (_, float[] logits) = embedded.Run(rows, images);

        int v = embedded.Model.Layout.VocabularySize;
        float[] last = [.. logits.AsSpan((rows[0].Length - 1) * v, v), .. logits.AsSpan((rows[0].Length + rows[1].Length - 1) * v, v)];
        Check(Topic, $"model/{name}.safetensors", "logits of the last token", last, golden["last_logits"].Floats);
    }

    // Prefill in chunks and token by token through the cache, far past the window of 32, against one pass.
    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(33)]
    [InlineData(64)]
    public void A_cached_pass_in_chunks_equals_one_pass(int chunk)
    {
        int[] ids = Ids(GoldenTensors.Load(Goldens.Path("model/text_long.safetensors"))["input_ids"]);
        using var embedded = new EmbeddedModel();
        (float[] whole, _) = embedded.Run([ids], []);
        using KvCache cache = embedded.Model.CreateCache(ids.Length);
        var parts = new List<float>();
        foreach (int[] part in ids.Chunk(chunk))
        {
            embedded.Arena.Reset();
            var batch = new TokenBatch();
            batch.Add(part, -1, cache);
            parts.AddRange(embedded.Model.Forward(batch, embedded.Arena, null).ToFloats());
        }

        Assert.InRange(Tolerance.RelativeError([.. parts], whole), 0, Allowed);
    }

    [Fact]
    public void Results_do_not_depend_on_the_thread_count()
    {
        int[] ids = Ids(GoldenTensors.Load(Goldens.Path("model/text_long.safetensors"))["input_ids"]);
        float[] Run(int threads)
        {
            using var device = new CpuDevice(threads);
            using var arena = new Arena(device);
            using LanguageModel model = ModelFolder.Load(Goldens.DemoPath("model"), device);
            var batch = new TokenBatch();
            batch.Add(ids, -1, null);
            return model.Forward(batch, arena, null).ToFloats();
        }

        Assert.Equal(Run(1), Run(3));
    }

    internal static int[] Ids(GoldenTensor tensor) => Array.ConvertAll(tensor.Integers, id => (int)id);

    internal static void Check(string topic, string file, string what, float[] ours, float[] golden, double allowed = Allowed) =>
        Assert.InRange(Parity.Report(topic, file, what, Tolerance.RelativeError(ours, golden), allowed), 0, allowed);
}
