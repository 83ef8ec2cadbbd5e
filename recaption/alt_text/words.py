"""Words that name nothing in particular, so that a capital letter on them tells no name."""

from __future__ import annotations


def folded(word: str) -> str:
    """Return a word without case, as `re.IGNORECASE` takes it: there `ı` and `İ` are an i too."""
    return word.casefold().replace("ı", "i").replace("i\u0307", "i")


FUNCTION_WORDS = frozenset(
    "a about above across after against all along also although am among an and any are around"
    " as at away back be because been before behind being below between both but by can could"
    " did do does down during each ever every few for from get gets had has have he her here his"
    " how i if in inside into is it its just like made make makes many may me more most much"
    " must my near never new no nor not now of off on once one only or other our out outside"
    " over own per she should since so some such than that the their them then there these they"
    " this those through to too toward under until up upon us very via vs was we were what when"
    " where which while who whom whose why will with within without worth would yes yet you"
    " your".split()
)

CONNECTORS = frozenset(
    "of the de da do dos das del della di du des la le los las el van von der den ten ter zu"
    " zum bin ibn al &".split()
)
"""Small words inside a name: Duccio di Buoninsegna, Secretary of State."""

COMMON_WORDS = frozenset(
    # people
    "adult artist athlete audience baby babies boy bride business businessman child children"
    " couple crowd dad daughter dancer doctor driver employee face family farmer father female"
    " fisherman friend girl girlfriend groom guest guy hair hand head human husband kid leader"
    " leg male man member men model mom mother musician owner parent participant people"
    " performer person photographer player portrait researcher scientist senior singer sister"
    " skin soldier son staff student teacher team teen tourist visitor wife winner woman women"
    " worker young youth"
    # animals, plants, food
    " animal apple banana beach bear bee beef beer berry bird bread rooster cock hen butterfly"
    " cake cat cheese cherry chicken chocolate cocktail coffee cookie corn cow crab dessert"
    " dinner dog dolphin dragon dragonfly drink duck eagle egg elephant fish flower food fox"
    " frog fruit garlic giraffe goat grape grass herb honey horse jungle kiwi kitten leaf leaves"
    " lemon lime lion lunch mango meal meat milk monkey mouse mushroom nut orange orchid owl"
    " palm pear penguin pepper pig pineapple pizza plant potato pumpkin puppy rabbit recipe rice"
    " rose salad sandwich sauce seed sheep shrimp snake soup spider squid strawberry sugar"
    " sunflower tea tiger tomato tree turkey turtle vegetable whale wine wolf zebra"
    # places and nature
    " airport apartment autumn background balcony bar bathroom bay bedroom bench bridge building"
    " cafe cabin castle ceiling center centre church city cloud coast cottage country court day"
    " desert door earth east entrance exterior fall farm fence field fire fireplace floor forest"
    " garage garden gate glass ground hall harbour highway hill hills home hotel house ice"
    " interior island kitchen lake land landscape light lighthouse market meadow moon morning"
    " mountain mountains museum nature night north ocean office outdoor panorama park path pond"
    " pool porch property rain restaurant river road rock roof room ruins sand sea school shop"
    " shore sky skyline snow south space spring stadium stairs star station stone store storm"
    " street summer sun sunrise sunset temple tower town traffic valley view village wall water"
    " waterfall wave west wildlife wind window winter wood woods world yard zoo"
    # things
    " accessories aircraft airplane album anime armchair art backpack badge bag ball balloon"
    " band bangle banner barstool basket bath battery bead bed belt bicycle bike blanket blazer"
    " block blouse board boat book bookcase boot boots bottle bow bowl box bracelet brick"
    " brochure brooch brush bucket bundle bus button cabinet cable calculator calendar camera"
    " candle canvas cap car card cards carpet case cd chain chair chandelier charger charm chart"
    " cleaner clip clock cloth clothing clutch coaster coat coin collection coloring computer"
    " console controller cookware costume cover coverlet craft crop crown cuff cup curtain"
    " cushion decal decor decoration design desk device diagram diamond digital dish display"
    " doll dress dvd earring earrings edition equipment fabric figure film flag flats font"
    " footwear frame furniture game gem gift glitter glove gloves graphic guitar gun handbag"
    " handle hat headband headboard headphones heart heel heels helmet hoodie icon illustration"
    " image invitation item jacket jar jeans jersey jewel jewelry jumper key keychain kit kite"
    " knife lace lamp lantern laptop leather legging leggings lens letter link lock logo"
    " loveseat machine magazine magnet map mask mat material menu metal mirror moto mount movie"
    " mug mural music napkin necklace nightstand notebook novel object ornament outfit oven"
    " package pack pad paint painting pair pajama panel pant pants paper part parts pattern pen"
    " pendant phone photo picture piece pillow plan plate plush pocket polo portfolio post"
    " poster powder print printer prints product puzzle quilt quote rack radio rail remote ring"
    " robe robot rug sandal sandals scarf sculpture seat set shade sheet shelf shell shield ship"
    " shirt shoe shoes shorts shower sign sink skateboard sketch skirt sleeve sneaker sneakers"
    " soap sock socks sofa song speaker stand statue steel stick sticker stool stove strap stud"
    " suit sunglasses sweater sweatshirt switch sword table tablecloth tablet tank tattoo tee"
    " template tent texture tie tile tool top tops tote towel toy tractor train trainers tray"
    " truck tshirt tube tv umbrella uniform unit vase vector vehicle vest video wallet wallpaper"
    " watch website wedding wheel wheels wig wire wrap yarn zip trouser trousers linen denim"
    " knit stocking sole laces spare"
    # shapes and colours
    " aqua arrow beige black blue bronze brown circle colour color colorful colourful cream"
    " crescent cross curve dark dot dots gold golden gray green grey hexagon ivory khaki line"
    " maroon navy olive oval pink pointer purple red rectangle rhombus round scarlet shape"
    " silver square stripe stripes striped tan teal triangle turquoise violet white yellow"
    # what things are like
    " abstract adjustable amazing ancient antique awesome beautiful best better big blank bright"
    " broken casual cheap classic clean close closeup cold contemporary cool cotton creative"
    " crystal custom cute decorative deep double dry easy elegant empty evening fashion fast"
    " fine flat floral fresh full fun funny good great handmade happy hard healthy heavy high"
    " holiday hot huge large latest left lightweight little long loose low luxury matching"
    " medium mens mini modern multi natural nautical nice official old open organic original"
    " oversized party perfect personalized plain plastic popular portable premium pretty printed"
    " professional pure quality quick rare raw real retro right rustic sale seamless several"
    " sexy sheer short silk simple single slim small smart smiling smooth soft solid special"
    " sport sports standard stretch strong stunning style stylish super sweet tall thick thin"
    " tiny traditional transparent trendy tropical unique used various vertical vintage warm"
    " washed waterproof wide wild womens wooden wool"
    # doing, and the words of pages
    " action ad advice album archive article attend author award benefit birthday blog buy call"
    " care celebration chapter christmas class come course create dance day days draw drawing"
    " eating episode event exhibition fight find flying free getting guide guides halloween"
    " healing health help holding hours how-to idea ideas interview introduction issue job keep"
    " learn learning lesson life living look looking love match meeting moment months news night"
    " notes number opening order page performs photograph photography photos pictures playing"
    " poem poses pose practice preview profile project read ready report review reviews running"
    " sample scene season series service shot show shows side sitting sleeping smoking sold"
    " specs standing step steps story studio study styling swimming taken test thing things time"
    " tips title tour travel trip tutorial type types unknown use visit volume walk walking"
    " watch way ways wearing week weekend work working workshop yearbook years fantasy exhibits"
    " oddities anniversary results combo update updates screenshot paperback hardcover straight"
    " code steering".split()
)


def is_common(word: str) -> bool:
    "Whether a word, in any case, singular or plural, names nothing in particular."
    folded = word.casefold().replace("’", "'").removesuffix("'s")
    if "-" in folded:
        return all(is_common(part) for part in folded.split("-") if part)
    if (
        folded in FUNCTION_WORDS
        or folded in COMMON_WORDS
        or folded.removesuffix("s") in COMMON_WORDS
    ):
        return True
    return folded.removesuffix("es") in COMMON_WORDS
