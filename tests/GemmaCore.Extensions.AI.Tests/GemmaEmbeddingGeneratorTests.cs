using System.Numerics.Tensors;
using GemmaCore.Generation;
using GemmaCore.Inputs;
using Microsoft.Extensions.AI;

namespace GemmaCore.Extensions.AI.Tests;

/// <summary>What a program that knows <see cref="IEmbeddingGenerator"/> alone sees of the embedded model.</summary>
public sealed class GemmaEmbeddingGeneratorTests(LoadedClient loaded) : IClassFixture<LoadedClient>
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private IEmbeddingGenerator<string, Embedding<float>> Generator => loaded.Client.TextEmbeddings;

    [Fact]
    public async Task Texts_become_the_models_vectors_in_their_order()
    {
        string[] texts = ["A small red polyp.", "No bleeding.", "A small red polyp."];
        GeneratedEmbeddings<Embedding<float>> embeddings = await Generator.GenerateAsync(texts, cancellationToken: Token);
        Prompt[] prompts = [.. texts.Select(text => loaded.Direct.Prompts.EncodeText(text, []))];
        IReadOnlyList<float[]> expected = await loaded.Direct.EmbedAsync(prompts, cancellation: Token);
        Assert.Equal(expected, embeddings.Select(embedding => embedding.Vector.ToArray()));
        Assert.All(embeddings, embedding => Assert.Equal(("model", 128), (embedding.ModelId, embedding.Dimensions)));
        Assert.Equal((prompts.Sum(prompt => (long)prompt.Ids.Length), null), (embeddings.Usage!.InputTokenCount, embeddings.Usage.OutputTokenCount));
        Assert.NotEqual(expected[0], expected[1]);
    }

    [Fact]
    public async Task Pictures_become_vectors_and_an_adapter_makes_others()
    {
        byte[] picture = await File.ReadAllBytesAsync(LoadedClient.Picture, Token);
        IEmbeddingGenerator<DataContent, Embedding<float>> pictures = loaded.Client.ImageEmbeddings;
        Embedding<float> embedding = await pictures.GenerateAsync(new DataContent(picture, "image/jpeg"), cancellationToken: Token);
        float[] expected = (await loaded.Direct.EmbedAsync([loaded.Direct.Prompts.EncodeText("", [ImageSource.FromBytes(picture)])], cancellation: Token))[0];
        Assert.Equal(expected, embedding.Vector.ToArray());
        Embedding<float> adapted = await pictures.GenerateAsync(new DataContent(picture, "image/jpeg"), new EmbeddingGenerationOptions { ModelId = LoadedClient.AdapterName }, Token);
        Assert.Equal(LoadedClient.AdapterName, adapted.ModelId);
        Assert.NotEqual(expected, adapted.Vector.ToArray());
        var noPicture = await Assert.ThrowsAsync<NotSupportedException>(() => pictures.GenerateAsync([new DataContent(picture, "audio/wav")], null, Token));
        Assert.Contains("audio/wav", noPicture.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Fewer_dimensions_are_the_first_ones_at_length_one()
    {
        Embedding<float> whole = await Generator.GenerateAsync("A polyp.", cancellationToken: Token);
        Embedding<float> few = await Generator.GenerateAsync("A polyp.", new EmbeddingGenerationOptions { Dimensions = 16 }, Token);
        Assert.Equal(16, few.Dimensions);
        Assert.Equal(1, TensorPrimitives.Norm(few.Vector.Span), 1e-5f);
        Assert.Equal(1, TensorPrimitives.CosineSimilarity(whole.Vector.Span[..16], few.Vector.Span), 1e-5f);
    }

    [Fact]
    public async Task What_cannot_be_done_is_refused_by_name()
    {
        async Task<Exception> Refused(EmbeddingGenerationOptions? options, string text = "x") => await Assert.ThrowsAnyAsync<Exception>(() => Generator.GenerateAsync([text], options, Token));
        Assert.Contains("Dimensions 129: expected from 1 to 128", Assert.IsType<ArgumentOutOfRangeException>(await Refused(new() { Dimensions = 129 })).Message, StringComparison.Ordinal);
        Assert.Contains("no model 'ada'", Assert.IsType<ArgumentOutOfRangeException>(await Refused(new() { ModelId = "ada" })).Message, StringComparison.Ordinal);
        Assert.Contains("RawRepresentationFactory", Assert.IsType<NotSupportedException>(await Refused(new() { RawRepresentationFactory = _ => null })).Message, StringComparison.Ordinal);
        Assert.Contains("AdditionalProperties['user']", Assert.IsType<NotSupportedException>(await Refused(new() { AdditionalProperties = new() { ["user"] = "me" } })).Message, StringComparison.Ordinal);
        Assert.IsType<InputException>(await Refused(null, ""));
        // The version of the package that these options are known of.
        Assert.Equal(["AdditionalProperties", "Dimensions", "ModelId", "RawRepresentationFactory"], typeof(EmbeddingGenerationOptions).GetProperties().Select(property => property.Name).Order());
        Assert.Empty(await Generator.GenerateAsync(Array.Empty<string>(), cancellationToken: Token));
    }

    [Fact]
    public async Task It_is_described_cancelled_and_piped_as_others_are()
    {
        EmbeddingGeneratorMetadata metadata = Generator.GetService<EmbeddingGeneratorMetadata>()!;
        Assert.Equal(("gemmacore", "model", 128), (metadata.ProviderName, metadata.DefaultModelId, metadata.DefaultModelDimensions));
        Assert.Same(loaded.Client.GetService(typeof(GemmaModel)), Generator.GetService<GemmaModel>());
        using var cancelled = new CancellationTokenSource();
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Generator.GenerateAsync(["x"], null, cancelled.Token));
        IEmbeddingGenerator<string, Embedding<float>> pipeline = Generator.AsBuilder().UseOpenTelemetry().Build();
        Assert.Equal(128, (await pipeline.GenerateAsync("A polyp.", cancellationToken: Token)).Dimensions);
    }
}
