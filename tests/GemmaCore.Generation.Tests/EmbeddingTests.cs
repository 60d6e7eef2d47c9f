using GemmaCore.Inputs;
using GemmaCore.Models;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Generation.Tests;

/// <summary>Prompts as vectors: against the definition, computed in one pass without a scheduler.</summary>
public sealed class EmbeddingTests : IDisposable
{
    private readonly GemmaModel _model = GemmaModel.Load(Goldens.DemoPath("model"), 2);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _model.Dispose();

    [Fact]
    public async Task An_embedding_is_the_mean_of_the_last_hidden_states()
    {
        Prompt[] prompts =
        [
            _model.Prompts.EncodeText("A fracture.", []), _model.Prompts.EncodeText(Words(600), []), _model.Prompts.EncodeText("", [Picture("Endoscopy/phantom_colon/imagesVal/phantom_colon_0000.jpg").Image]),
            _model.Prompts.Encode([new ChatMessage(ChatRole.User, [Picture("Retinography/phantom_retina/imagesVal/phantom_retina_0000.jpg"), new TextPart("What is it?")])], false),
        ];
        IReadOnlyList<float[]> vectors = await _model.EmbedAsync(prompts, cancellation: Token);
        for (int i = 0; i < prompts.Length; i++)
        {
            float[] expected = Expected(prompts[i]);
            Assert.Equal(_model.Model.Layout.HiddenSize, vectors[i].Length);
            Assert.Equal(1, vectors[i].Sum(value => (double)value * value), 1e-5);
            // Chunks of a long prompt sum their keys in another order than one pass.
            for (int d = 0; d < expected.Length; d++) Assert.Equal(expected[d], vectors[i][d], 2e-5f);
            Assert.Equal(vectors[i], _model.Embed([prompts[i]], cancellation: Token)[0]);
        }

        Assert.InRange(Dot(vectors[0], vectors[2]), -1, 0.999);
    }

    [Fact]
    public async Task Embeddings_go_among_answers_and_change_nothing_for_them()
    {
        Prompt question = _model.Prompts.Encode([ChatMessage.FromText(ChatRole.User, "What is a lesion?")], true), text = _model.Prompts.EncodeText("A fracture.", []);
        var parameters = new SamplingParams { MaxTokens = 20 };
        GenerationResult alone = _model.Generate([(question, parameters)], null, Token)[0];
        float[] expected = _model.Embed([text], cancellation: Token)[0];
        using var loop = new RequestLoop(_model, new BatchLimits { KeepsPrefixes = true }, 1 << 20);
        for (int round = 0; round < 2; round++)
        {
            PendingAnswer answer = loop.Submit(new GenerationRequest(question, parameters), Token);
            PendingAnswer[] embeddings = [.. Enumerable.Range(0, 9).Select(_ => loop.Submit(Embeddings.Request(text, _model.Prompts.Tokenizer), Token))];
            PendingAnswer same = loop.Submit(Embeddings.Request(question, _model.Prompts.Tokenizer), Token);
            foreach (PendingAnswer embedding in embeddings)
            {
                GenerationResult result = await embedding.Result.WaitAsync(Token);
                Assert.Equal(expected, result.Embedding);
                Assert.Equal((0, "", FinishReason.Stop, 0), (result.Tokens.Count, result.Text, result.FinishReason, result.CachedTokenCount));
            }

            Assert.Equal(alone.Tokens.Select(token => token.Id), (await answer.Result.WaitAsync(Token)).Tokens.Select(token => token.Id));
            Assert.Null((await answer.Result).Embedding);
            Assert.Equal(question.Ids.Length, (await same.Result.WaitAsync(Token)).PromptTokenCount);
        }

        for (int i = 0; i < 100 && loop.Status.CacheBytes > 0; i++) await Task.Delay(10, Token);
        Assert.Equal((0, 0), (loop.Status.Running, loop.Status.CacheBytes));
    }

    [Fact]
    public void An_empty_text_is_refused() =>
        Assert.Contains("empty", Assert.Throws<InputException>(() => _model.Embed([_model.Prompts.EncodeText("", [])], cancellation: Token)).Message, StringComparison.Ordinal);

    [Fact]
    public void Fewer_dimensions_are_the_first_ones_scaled_to_length_one()
    {
        Assert.Equal([0.6f, 0.8f], Embeddings.Shorten([0.3f, 0.4f, 0.5f], 2));
        Assert.Equal([1f, 0f], Embeddings.Shorten([1f, 0f], 2));
        Assert.Throws<ArgumentOutOfRangeException>(() => Embeddings.Shorten([1f, 0f], 3));
        Assert.Throws<ArgumentOutOfRangeException>(() => Embeddings.Shorten([0f, 1f], 1));
    }

    private static ImagePart Picture(string name) => new(ImageSource.FromFile(Goldens.DemoPath("data/validation-public/" + name)));

    private static string Words(int count) => string.Join(' ', Enumerable.Range(0, count).Select(i => (i * 7 % 13) switch { < 4 => "lesion", < 8 => "left", _ => "lung" }));

    private static double Dot(float[] x, float[] y) => x.Zip(y, (a, b) => (double)a * b).Sum();

    private float[] Expected(Prompt prompt)
    {
        using var arena = new Arena(_model.Model.Device);
        var batch = new TokenBatch();
        using KvCache cache = _model.Model.CreateCache(prompt.Ids.Length);
        batch.Add(prompt.Ids, _model.Model.ImageTokenId, cache);
        batch.ImageFeatures = ImageEncoding.Encode(_model.Model, [.. prompt.Images.Select(image => image.Values)], arena);
        TensorView hidden = _model.Model.Forward(batch, arena, null);
        int size = hidden.Shape[1];
        float[] rows = new float[prompt.Ids.Length * size];
        hidden.Device.CopyToHost(hidden, System.Runtime.InteropServices.MemoryMarshal.AsBytes(rows.AsSpan()));
        double[] mean = new double[size];
        for (int row = 1; row < prompt.Ids.Length; row++)
            for (int d = 0; d < size; d++) mean[d] += rows[row * size + d];
        double length = Math.Sqrt(mean.Sum(value => value * value));
        return [.. mean.Select(value => (float)(value / length))];
    }
}
