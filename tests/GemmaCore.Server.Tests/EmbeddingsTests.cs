using System.ClientModel;
using System.ClientModel.Primitives;
using System.Net;
using System.Text.Json;
using GemmaCore.Inputs;
using OpenAI;
using OpenAI.Embeddings;

namespace GemmaCore.Server.Tests;

/// <summary>Embeddings through the official SDK, of texts, ids and pictures, against those of the library.</summary>
public sealed class EmbeddingsTests(SharedServer shared) : IClassFixture<SharedServer>
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private RunningServer Server => shared.Server;

    [Fact]
    public async Task The_sdk_gets_the_vectors_of_the_library()
    {
        string[] texts = ["A fracture of the left wrist.", "No finding.", "é 🩺"];
        OpenAIEmbeddingCollection vectors = await Client().GenerateEmbeddingsAsync(texts, cancellationToken: Token);
        IReadOnlyList<float[]> expected = Server.Direct.Embed([.. texts.Select(text => Server.Direct.Prompts.EncodeText(text, []))], cancellation: Token);
        Assert.Equal([0, 1, 2], vectors.Select(vector => vector.Index));
        for (int i = 0; i < texts.Length; i++) Assert.Equal(expected[i], vectors[i].ToFloats().ToArray());
        Assert.Equal(texts.Sum(text => Server.Direct.Prompts.EncodeText(text, []).Ids.Length), vectors.Usage.InputTokenCount);
        Assert.Equal(RunningServer.ModelName, vectors.Model);

        OpenAIEmbedding one = await Client().GenerateEmbeddingAsync(texts[0], new EmbeddingGenerationOptions { Dimensions = 16 }, Token);
        Assert.Equal(Generation.Embeddings.Shorten(expected[0], 16), one.ToFloats().ToArray());
    }

    [Fact]
    public async Task Ids_floats_and_adapters()
    {
        int[] ids = Server.Direct.Prompts.EncodeText("A fracture.", []).Ids;
        float[] expected = Server.Direct.Embed([Server.Direct.Prompts.EncodeText("A fracture.", [])], cancellation: Token)[0];
        float[] plain = await FloatsAsync($"\"input\":[{string.Join(',', ids)}]"), text = await FloatsAsync("\"input\":\"A fracture.\",\"encoding_format\":\"float\"");
        Assert.Equal(expected, plain);
        Assert.Equal(expected, text);
        Assert.Equal(expected, await FloatsAsync($"\"input\":[[{string.Join(',', ids)}]]"));
        Assert.NotEqual(expected, await FloatsAsync($"\"input\":\"A fracture.\",\"model\":\"{RunningServer.AdapterName}\""));
    }

    [Fact]
    public async Task A_conversation_with_a_picture_is_embedded_as_a_whole()
    {
        byte[] bytes = await File.ReadAllBytesAsync(RunningServer.Picture("colon"), Token);
        Prompt prompt = Server.Direct.Prompts.Encode([new ChatMessage(ChatRole.User, [new ImagePart(ImageSource.FromBytes(bytes)), new TextPart("Endoscopy")])], addGenerationPrompt: false);
        float[] vector = await FloatsAsync(
            "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"" + RunningServer.DataUrl(bytes, "jpeg") + "\"}},{\"type\":\"text\",\"text\":\"Endoscopy\"}]}]");
        Assert.Equal(Server.Direct.Embed([prompt], cancellation: Token)[0], vector);
    }

    [Fact]
    public async Task Many_inputs_of_one_request_keep_their_order()
    {
        string[] texts = [.. Enumerable.Range(0, 100).Select(i => $"Finding number {i % 10}.")];
        OpenAIEmbeddingCollection vectors = await Client().GenerateEmbeddingsAsync(texts, cancellationToken: Token);
        Assert.Equal(100, vectors.Count);
        for (int i = 10; i < 100; i++) Assert.Equal(vectors[i % 10].ToFloats().ToArray(), vectors[i].ToFloats().ToArray());
        Assert.NotEqual(vectors[0].ToFloats().ToArray(), vectors[1].ToFloats().ToArray());
    }

    private async Task<float[]> FloatsAsync(string fields)
    {
        (HttpStatusCode status, JsonElement reply) = await Server.PostAsync("/v1/embeddings", "{" + fields + "}");
        Assert.True(status == HttpStatusCode.OK, reply.ToString());
        Assert.Equal("list", reply.GetProperty("object").GetString());
        JsonElement data = Assert.Single(reply.GetProperty("data").EnumerateArray());
        Assert.Equal(("embedding", 0), (data.GetProperty("object").GetString(), data.GetProperty("index").GetInt32()));
        return [.. data.GetProperty("embedding").EnumerateArray().Select(value => value.GetSingle())];
    }

    private EmbeddingClient Client() => new(RunningServer.ModelName, new ApiKeyCredential("none"), new OpenAIClientOptions { Endpoint = Server.Endpoint, RetryPolicy = new ClientRetryPolicy(0) });
}
