using GemmaCore.Inputs;
using GemmaCore.Models.Lora;
using GemmaCore.Testing;

namespace GemmaCore.Generation.Tests;

/// <summary>What prompts begin with is computed once, changes no answer by a bit, and is nobody else's.</summary>
public sealed class PrefixCacheTests
{
    private const string Colon = "validation-public/Endoscopy/phantom_colon/imagesVal/phantom_colon_0000.jpg";
    private const string Retina = "validation-public/Retinography/phantom_retina/imagesVal/phantom_retina_0000.jpg";

    private static readonly BatchLimits Keeping = new() { KeepsPrefixes = true, MaxCacheBytes = 256 << 20 };
    private static readonly SamplingParams Short = new() { MaxTokens = 6, IgnoreEos = true, Logprobs = 0 };

    [Theory]
    [InlineData("cpu", 1800)]
    [InlineData("gtx1650/adversarial", 0)]
    public void An_answer_is_the_same_bit_for_bit_whether_its_prompt_was_there_or_not(string device, int longText)
    {
        using GemmaModel model = device == "cpu" ? GemmaModel.Load(Goldens.DemoPath("model"), 2) : GemmaModel.Load(Goldens.DemoPath("model"), TestDevices.OpenCard(device));
        using LoraAdapter adapter = LoraAdapter.LoadChoice(Goldens.Path("adapters/all_linear_r8"), model.Model);
        List<GenerationRequest> requests =
        [
            Ask(model, "Describe the endoscopic finding in this image.", Colon), Ask(model, "What is the modality of this image?", Colon),
            Ask(model, "Describe the endoscopic finding in this image.", Colon, Retina), Ask(model, "What is the modality of this image?", Colon) with { Adapter = adapter },
        ];
        if (longText > 0)
        {
            // Several chunks, far longer than the sliding window, with two ends.
            string document = string.Concat(Enumerable.Repeat("a lesion is seen, ", longText / 6));
            requests.Add(new(model.Prompts.EncodeText(document + "and the patient is told that it is", []), Short));
            requests.Add(new(model.Prompts.EncodeText(document + "so what was found in the picture?", []), Short));
        }

        string[] alone = [.. requests.Select(request => Run(model, Keeping, request)[0].Bits)];

        // One after the other with one cache, all at once, and all at once with everything there already.
        using BatchScheduler scheduler = Scheduler(model, Keeping);
        Answer[] together = [.. Run(scheduler, [.. requests])], again = [.. Run(scheduler, [.. requests])];
        Assert.Equal(alone, together.Select(answer => answer.Bits));
        Assert.Equal(alone, again.Select(answer => answer.Bits));
        using BatchScheduler inTurn = Scheduler(model, Keeping);
        Answer[] turns = [.. requests.Select(request => Run(inTurn, request)[0])];
        Assert.Equal(alone, turns.Select(answer => answer.Bits));

        // Of the second question about the picture everything up to its end was there, of the first with an adapter nothing, in the end all but the last part of everyone's.
        int picture = PictureEnd(model, requests[0].Prompt);
        Assert.Equal([0, picture, picture, 0], turns.Take(4).Select(answer => answer.Cached));
        Assert.Equal([0, picture, picture, 0], together.Take(4).Select(answer => answer.Cached));
        Assert.All(again, answer => Assert.True(answer.Cached >= picture));
        if (longText == 0) return;
        Assert.InRange(turns[5].Cached, 1024, requests[5].Prompt.Ids.Length - 9);
        Assert.Equal(0, turns[4].Cached);
    }

    [Fact]
    public void Nothing_is_shared_with_another_picture_tenant_salt_or_adapter()
    {
        using GemmaModel model = GemmaModel.Load(Goldens.DemoPath("model"), 2);
        using LoraAdapter adapter = LoraAdapter.LoadChoice(Goldens.Path("adapters/qv_list_r4"), model.Model);
        GenerationRequest request = Ask(model, "Describe the finding in this image.", Colon);
        using BatchScheduler scheduler = Scheduler(model, Keeping);
        Run(scheduler, request);
        Assert.Equal(
            [0, 0, 0, 0],
            ((GenerationRequest[])
            [
                Ask(model, "Describe the finding in this image.", Retina), request with { Tenant = "another" }, request with { CacheSalt = "mine" }, request with { Adapter = adapter },
            ]).Select(other => Run(scheduler, other)[0].Cached));
        Assert.Equal(PictureEnd(model, request.Prompt), Run(scheduler, request)[0].Cached);

        scheduler.Forget(adapter);
        Assert.Equal(0, Run(scheduler, request with { Adapter = adapter })[0].Cached);
    }

    [Fact]
    public void Several_answers_to_one_prompt_see_its_pictures_once()
    {
        using GemmaModel model = GemmaModel.Load(Goldens.DemoPath("model"), 2);
        GenerationRequest request = Ask(model, "Describe the finding in this image.", Colon, Retina);
        using BatchScheduler scheduler = Scheduler(model, Keeping);
        Answer[] answers = [.. Run(scheduler, [.. Enumerable.Repeat(request, 4)])];
        Assert.Equal(0, answers[0].Cached);
        Assert.All(answers[1..], answer => Assert.Equal((answers[0].Bits, answers[1].Cached), (answer.Bits, answer.Cached)));
        Assert.InRange(answers[1].Cached, 2 * model.Model.TokensPerImage, request.Prompt.Ids.Length - 1);
        Assert.Equal((4L * request.Prompt.Ids.Length, 3L * answers[1].Cached), (scheduler.PrefixQueries, scheduler.PrefixHits));
    }

    [Fact]
    public void When_the_one_that_computes_leaves_the_next_goes_on()
    {
        using GemmaModel model = GemmaModel.Load(Goldens.DemoPath("model"), 2);
        using var leaving = new CancellationTokenSource();
        GenerationRequest request = new(model.Prompts.EncodeText(string.Concat(Enumerable.Repeat("a lesion is seen, ", 300)), []), Short);
        string expected = Run(model, Keeping, request)[0].Bits;
        using BatchScheduler scheduler = Scheduler(model, Keeping with { PrefillTokens = 512 });
        Sequence first = scheduler.Add(request, null, leaving.Token), second = scheduler.Add(request, null, CancellationToken.None);
        scheduler.Step();
        leaving.Cancel();
        while (scheduler.Step())
        {
        }

        Assert.Equal(FinishReason.Cancelled, first.Result().FinishReason);
        Assert.Equal((expected, PromptChunks.Tokens), (Bits(second), second.Result().CachedTokenCount));
    }

    [Fact]
    public void What_is_kept_makes_room_for_what_is_under_way_and_leaves_no_memory_behind()
    {
        using GemmaModel model = GemmaModel.Load(Goldens.DemoPath("model"), 2);
        long before = model.Model.Device.AllocatedBytes;
        GenerationRequest[] requests = [.. Enumerable.Range(0, 6).Select(i => Ask(model, $"Describe finding number {i} in this image and say what it is.", i % 2 == 0 ? Colon : Retina, Retina))];
        string[] expected = [.. requests.Select(request => Run(model, Keeping, request)[0].Bits)];
        long room = model.Model.CacheBytes((int)requests.Max(request => request.TokenCount));
        var limits = Keeping with { MaxCacheBytes = room + (12 * model.Model.PageBytes) };
        using (BatchScheduler scheduler = Scheduler(model, limits))
        {
            foreach (GenerationRequest request in requests) scheduler.Add(request, null, CancellationToken.None);
            long most = 0;
            while (scheduler.Step())
            {
                Assert.InRange(scheduler.CacheBytes, 0, limits.MaxCacheBytes);
                Assert.InRange(scheduler.PrefixBytes, 0, limits.MaxCacheBytes);
                most = Math.Max(most, scheduler.PrefixBytes);
            }

            // One picture's pages, and less than everybody's.
            Assert.InRange(most, model.Model.CacheBytes(PictureEnd(model, requests[0].Prompt)) / 2, limits.MaxCacheBytes);
            Assert.Equal(expected, requests.Select(request => Run(scheduler, request)[0].Bits));
        }

        Assert.Equal(before, model.Model.Device.AllocatedBytes);
    }

    [Fact]
    public void Cuts_of_prompts_that_begin_alike_are_alike_and_never_inside_a_picture()
    {
        using GemmaModel model = GemmaModel.Load(Goldens.DemoPath("model"), 2);
        int image = model.Model.ImageTokenId;
        var random = new Random(4);
        for (int round = 0; round < 200; round++)
        {
            int[] ids = [.. Enumerable.Range(0, random.Next(1, 40)).SelectMany(_ => random.Next(3) == 0 ? Enumerable.Repeat(image, random.Next(1, 300)) : Enumerable.Repeat(5, random.Next(1, 120)))];
            int common = random.Next(1, ids.Length + 1);
            int[] other = [.. ids[..common], .. Enumerable.Repeat(7, random.Next(0, 700))];
            List<int> ends = Ends(ids), others = Ends(other);
            Assert.Equal((ids.Length, other.Length), (ends[^1], others[^1]));
            foreach (int end in ends.SkipLast(1)) Assert.False(ids[end] == image && ids[end - 1] == image, $"round {round}: a cut at {end} is inside a picture");
            // A cut is seen at once in both, up to where they differ and a few tokens before an end.
            int last = common - 1 - BatchScheduler.FewRows;
            if (common < ids.Length && ids[common - 1] == image) last = Array.FindLastIndex(ids, common - 1, id => id != image) - BatchScheduler.FewRows;
            Assert.Equal(ends.Where(end => end <= last), others.Where(end => end <= last));
        }

        List<int> Ends(int[] ids)
        {
            PromptChunks chunks = PromptChunks.WithKeys(new GenerationRequest(new Prompt(ids, [], []), Short), image);
            var ends = new List<int>();
            for (int at = 0; at < ids.Length; at = ends[^1]) ends.Add(chunks.EndFrom(at));
            return ends;
        }
    }

    private sealed record Answer(string Bits, int Cached);

    // After the last token of the first picture: the first cut.
    private static int PictureEnd(GemmaModel model, Prompt prompt) => prompt.ImageSpans[0].Start + model.Model.TokensPerImage;

    private static GenerationRequest Ask(GemmaModel model, string question, params string[] images) => new(
        model.Prompts.Encode(
            [new ChatMessage(ChatRole.User, [.. images.Select(image => new ImagePart(ImageSource.FromFile(Goldens.DemoPath("data/" + image)))), new TextPart(question)])], true),
        Short);

    private static BatchScheduler Scheduler(GemmaModel model, BatchLimits limits) => new(model.Model, model.Prompts.Tokenizer, [.. model.Defaults.StopIds], limits, _ => { });

    private static List<Answer> Run(GemmaModel model, BatchLimits limits, params GenerationRequest[] requests)
    {
        using BatchScheduler scheduler = Scheduler(model, limits);
        return Run(scheduler, requests);
    }

    private static List<Answer> Run(BatchScheduler scheduler, params GenerationRequest[] requests)
    {
        Sequence[] sequences = [.. requests.Select(request => scheduler.Add(request, null, CancellationToken.None))];
        while (scheduler.Step())
        {
        }

        return [.. sequences.Select(sequence => new Answer(Bits(sequence), sequence.Result().CachedTokenCount))];
    }

    // Ids and the bits of their log-probabilities.
    private static string Bits(Sequence sequence) =>
        string.Join(' ', sequence.Result().Tokens.Select(token => $"{token.Id}:{BitConverter.SingleToInt32Bits(token.Logprob):x}"));
}
